import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { runForJson } from "./run-child.ts";
import { peersOf, isThere, makePlace, runOurs, type Contender, type OurPlace, type Round } from "./contenders.ts";
import { judge, median, worseBy, type Aim, type Line } from "./figures.ts";
import type { RowName, Store } from "./options.ts";
import type { Measured, PeerRow, Work } from "./peer.ts";
import type { Medium } from "./servers/medium.ts";

/** What a row says: its lines, and what in it must not be (a task lost or done twice, a program of ours that failed). */
export interface Report {
  lines: Line[];
  violations: string[];
}

/** One figure of a row. */
interface Shown {
  line: string;
  figure: string;
  unit: string;
  aim(store: Store): Aim;
}

/** A row that peers have too: the same work for all, in turns. */
interface SharedRow {
  program: string;
  peerRow: PeerRow;
  shown: readonly Shown[];
  /** Only on this medium, whatever is asked for. */
  medium?: Medium;
  work(round: Round): { ours: Work; peers: Work };
}

/** The design's targets (design, section 11). */
const higher =
  (sqlite: number | null, postgres: number | null, ahead: readonly Store[] = []) =>
  (store: Store): Aim => ({
    better: "higher",
    target: store === "sqlite" ? sqlite : postgres,
    ahead: ahead.includes(store),
  });
const lower =
  (sqlite: number | null, postgres: number | null) =>
  (store: Store): Aim => ({
    better: "lower",
    target: store === "sqlite" ? sqlite : postgres,
  });

const inFlight = 50;
const rate = 200;

const workOf = ({ options }: Round, tasks: number): Work => ({ tasks: Math.ceil(tasks), inFlight, rate, seconds: options.seconds });

const sharedRows: Record<"queue" | "queue-slow" | "runs" | "latency", SharedRow> = {
  queue: {
    program: "ours/queue.ts",
    peerRow: "queue",
    shown: [{ line: "queue", figure: "perSecond", unit: "tasks/s", aim: higher(20_000, 12_000, ["sqlite"]) }],
    work: (round) => ({ ours: workOf(round, round.options.tasks), peers: workOf(round, round.options.tasks) }),
  },
  "queue-slow": {
    program: "ours/queue.ts",
    peerRow: "queue",
    medium: "slow",
    shown: [{ line: "queue-slow", figure: "perSecond", unit: "tasks/s", aim: higher(8_000, 8_000) }],
    // Peers with a transaction for each task manage a few hundred a second there.
    work: (round) => ({ ours: workOf(round, round.options.tasks), peers: workOf(round, round.options.tasks / 10) }),
  },
  runs: {
    program: "ours/runs.ts",
    peerRow: "runs",
    shown: [
      { line: "runs", figure: "stepsPerSecond", unit: "steps/s", aim: higher(20_000, 6_000) },
      { line: "runs.p50", figure: "p50", unit: "ms", aim: lower(20, null) },
      { line: "runs.p99", figure: "p99", unit: "ms", aim: lower(null, null) },
    ],
    work: (round) => ({ ours: workOf(round, round.options.runs), peers: workOf(round, round.options.runs) }),
  },
  latency: {
    program: "ours/latency.ts",
    peerRow: "latency",
    shown: [
      { line: "latency.p50", figure: "p50", unit: "ms", aim: lower(1, 2) },
      { line: "latency.p99", figure: "p99", unit: "ms", aim: lower(5, 10) },
    ],
    work: (round) => ({ ours: workOf(round, 0), peers: workOf(round, 0) }),
  },
};

/** The JSON of a program in bench/ours, with the names that the peers' figures have. */
const readOurs = (json: Record<string, number>): Measured => {
  const { seconds = Number.NaN, tasks = 0, steps = 0, p50_ms = Number.NaN, p99_ms = Number.NaN, lost = 0, doubled = 0 } = json;
  const figures = { ...json, seconds, perSecond: tasks / seconds, stepsPerSecond: steps / seconds, p50: p50_ms, p99: p99_ms };
  return { figures, lost, doubled };
};

const wordsOf = (work: Work): string[] => [
  `--tasks=${work.tasks}`,
  `--in-flight=${work.inFlight}`,
  `--rate=${work.rate}`,
  `--seconds=${work.seconds}`,
];

export function measureRow(name: RowName, round: Round): Promise<Report> {
  switch (name) {
    case "queue":
    case "queue-slow":
    case "runs":
    case "latency":
      return measureShared(sharedRows[name], round);
    case "archive":
      return measureArchive(round);
    case "agents":
      return measureAgents(round);
    case "start":
      return measureStart(round);
    case "sse":
      return measureAlone(round, "sse.ts", [
        { line: "sse", figure: "events_per_second", unit: "events/s", aim: higher(150_000, 150_000) },
        { line: "sse.stalled", figure: "stalled_mib", unit: "MiB", aim: lower(2, 2) },
      ]);
    case "simulator":
      return measureSimulator(round);
  }
}

/** The values of each contender, and what went wrong. */
export interface Collected {
  values: Map<string, Measured[]>;
  notes: string[];
  violations: string[];
}

/** Each contender once in each round, in turns: what else the machine does meets all of them. */
export async function takeTurns(contenders: readonly Contender[], rounds: number): Promise<Collected> {
  const collected: Collected = { values: new Map(), notes: [], violations: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, run } of contenders) {
      const isOurs = name.startsWith(ours);
      try {
        const measured = await run();
        collected.values.set(name, [...(collected.values.get(name) ?? []), measured]);
        const { lost, doubled } = measured;
        if (lost === 0 && doubled === 0) continue;
        const said = `${name}: ${lost} lost, ${doubled} doubled in round ${round + 1}`;
        collected.notes.push(said);
        if (isOurs) collected.violations.push(said);
      } catch (error) {
        if (error instanceof Error && error.name === "AbortError") throw error;
        const said = `${name}: ${error instanceof Error ? error.message : String(error)}`;
        if (collected.notes.includes(said)) continue;
        collected.notes.push(said);
        if (isOurs) collected.violations.push(said);
      }
    }
  }
  return collected;
}

const ours = "tutti ";

async function measureShared(row: SharedRow, round: Round): Promise<Report> {
  const { options } = round;
  const medium = row.medium ?? options.medium;
  const work = row.work(round);
  const own = options.stores.map((store) => ourContender(row, round, store, medium, work.ours));
  const peers = options.peers ? await peersOf(round, row.peerRow, medium, work.peers) : { contenders: [], missing: {} };
  const contenders = [...own.filter(({ there }) => there).map(({ contender }) => contender), ...peers.contenders];
  const { values, notes, violations } = await takeTurns(contenders, options.rounds);
  const fsync = `fsync ${(await round.shared.fsyncMs(medium)).toPrecision(2)} ms`;
  const missing = Object.entries(peers.missing).map(([name, why]) => `${name} is not here: ${why}`);
  const about = Object.fromEntries(peers.contenders.map(({ name, about: said }) => [name, said]));
  const lines = options.stores.flatMap((store) =>
    row.shown.map(({ line, figure, unit, aim }): Line => {
      const figuresOf = (name: string): number[] =>
        (values.get(name) ?? []).map(({ figures }) => figures[figure] ?? Number.NaN).filter(Number.isFinite);
      const theirs = Object.fromEntries(peers.contenders.map(({ name }) => [name, figuresOf(name)]));
      const absent =
        own.find(({ contender }) => contender.name === ours + store)?.there === false ? [`bench/${row.program} is not there`] : [];
      return {
        row: line,
        store,
        medium,
        unit,
        rounds: options.rounds,
        ...judge(aim(store), figuresOf(ours + store), theirs),
        note: [fsync, ...absent, ...missing, ...notes.filter((note) => !note.startsWith(ours) || note.startsWith(ours + store))].join("; "),
        ...(Object.keys(about).length > 0 && { about }),
      };
    }),
  );
  return { lines, violations };
}

interface More {
  place?: OurPlace;
  timeoutMs?: number;
}

function ourContender(
  row: SharedRow,
  round: Round,
  store: Store,
  medium: Medium,
  work: Work,
  more: More = {},
): { there: boolean; contender: Contender } {
  const program = { program: row.program, store, medium, words: wordsOf(work), read: readOurs, ...more };
  return {
    there: isThere(row.program),
    contender: { name: ours + store, about: `Tutti on ${store}`, run: () => runOurs(round, program) },
  };
}

/** The shared rows once more, with so many finished tasks in the store: how much worse each figure is, %. */
async function measureArchive(round: Round): Promise<Report> {
  const report: Report = { lines: [], violations: [] };
  for (const store of round.options.stores) {
    const place = await makePlace(store, round.options.medium, round.shared);
    try {
      const { lines, violations } = await measureFull(round, store, place);
      report.lines.push(...lines);
      report.violations.push(...violations);
    } finally {
      await rm(place.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    }
  }
  return report;
}

/** Fills the place by doing so many tasks in it, then takes turns between it and empty ones. */
async function measureFull(round: Round, store: Store, place: OurPlace): Promise<Report> {
  const { medium, archived, rounds } = round.options;
  const long = { place, timeoutMs: 3_600_000 };
  const fill = ourContender(sharedRows.queue, round, store, medium, workOf(round, archived), long).contender;
  const { violations } = await takeTurns([fill], 1);
  const report: Report = { lines: [], violations: [...violations] };
  if (violations.length > 0) return report;
  for (const row of [sharedRows.queue, sharedRows.runs, sharedRows.latency].filter(({ program }) => isThere(program))) {
    const work = row.work(round).ours;
    const { contender: empty } = ourContender(row, round, store, medium, work);
    const { contender: full } = ourContender(row, round, store, medium, work, { place });
    const named = [
      { ...empty, name: `${empty.name} empty` },
      { ...full, name: `${full.name} full` },
    ];
    const found = await takeTurns(named, rounds);
    report.violations.push(...found.violations);
    for (const { line, figure, aim } of row.shown) {
      const [before = Number.NaN, now = Number.NaN] = named.map(({ name }) =>
        median((found.values.get(name) ?? []).map(({ figures }) => figures[figure] ?? Number.NaN)),
      );
      const worse = worseBy(aim(store).better, before, now);
      report.lines.push({
        row: `archive.${line}`,
        store,
        medium,
        unit: "% worse",
        rounds,
        ...judge({ better: "lower", target: 10 }, Number.isFinite(worse) ? [worse] : [], {}),
        note: [`empty ${before.toFixed(1)}, with ${archived} finished tasks ${now.toFixed(1)}`, ...found.notes].join("; "),
      });
    }
  }
  return report;
}

/** A thousand simulated agents at work, for minutes; once. */
function measureAgents(round: Round): Promise<Report> {
  const seconds = round.options.minutes * 60;
  const words = ["--seconds", String(seconds), "--in-flight", "1000"];
  const shown: Shown[] = [
    { line: "agents", figure: "assign_p99_ms", unit: "ms p99", aim: lower(100, 100) },
    { line: "agents.core", figure: "core_share", unit: "of a core", aim: lower(0.5, 0.5) },
    { line: "agents.rss", figure: "rss_mb", unit: "MB", aim: lower(300, 300) },
    { line: "agents.flatness", figure: "flatness", unit: "last/first", aim: lower(1.1, 1.1) },
  ];
  return measureAlone({ ...round, options: { ...round.options, rounds: 1 } }, "ours/agents.ts", shown, words, (seconds + 120) * 1_000);
}

/** How the server starts; of the peers, what they have in memory when they wait for work. */
async function measureStart(round: Round): Promise<Report> {
  const shown: Shown[] = [
    { line: "start", figure: "ms_empty", unit: "ms", aim: lower(500, 500) },
    { line: "start.100k", figure: "ms_100k", unit: "ms", aim: lower(1_000, 1_000) },
    { line: "start.rss", figure: "rss_mb", unit: "MB", aim: memoryAim },
  ];
  // A hundred thousand tasks are made in between.
  const report = await measureAlone(round, "start.ts", shown, [], 900_000);
  if (!round.options.peers) return report;
  const { contenders } = await peersOf(round, "memory", round.options.medium, workOf(round, 0));
  const { values, notes } = await takeTurns(contenders, round.options.rounds);
  const theirs = Object.fromEntries(
    [...values].map(([name, found]) => [name, found.map(({ figures }) => figures["rss_mb"] ?? Number.NaN)]),
  );
  const lines = report.lines.map((line): Line => {
    if (line.row !== "start.rss") return line;
    const store: Store = line.store === "postgres" ? "postgres" : "sqlite";
    const note = [line.note, ...notes].filter((said) => said !== undefined).join("; ");
    return { ...line, ...judge(memoryAim(store), line.ours === null ? [] : [line.ours], theirs), ...(note !== "" && { note }) };
  });
  return { ...report, lines };
}

const memoryAim = lower(130, 130);

/** A row without peers. */
async function measureAlone(
  round: Round,
  program: string,
  shown: readonly Shown[],
  words: readonly string[] = [],
  timeoutMs?: number,
): Promise<Report> {
  const { stores, medium, rounds } = round.options;
  const report: Report = { lines: [], violations: [] };
  for (const store of stores) {
    const contender: Contender = {
      name: ours + store,
      about: "",
      run: () => runOurs(round, { program, store, medium, words, read: readOurs, timeoutMs }),
    };
    const there = isThere(program);
    const { values, notes, violations } = there
      ? await takeTurns([contender], rounds)
      : { values: new Map<string, Measured[]>(), notes: [`bench/${program} is not there`], violations: [] };
    report.violations.push(...violations);
    for (const { line, figure, unit, aim } of shown) {
      const found = (values.get(contender.name) ?? []).map(({ figures }) => figures[figure] ?? Number.NaN).filter(Number.isFinite);
      const note = [...notes, ...(there && found.length === 0 && notes.length === 0 ? [`it says nothing of ${figure}`] : [])].join("; ");
      report.lines.push({ row: line, store, medium, unit, rounds, ...judge(aim(store), found, {}), ...(note !== "" && { note }) });
    }
  }
  return report;
}

/** Whatever `npm run sim` says in its last JSON line. */
async function measureSimulator({ options, signal }: Round): Promise<Report> {
  const line = { row: "simulator", store: "-", medium: "-", unit: "steps/s", rounds: options.rounds };
  const aim: Aim = { better: "higher", target: 150_000 };
  const root = join(import.meta.dirname, "..");
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
  if (manifest.scripts["sim"] === undefined)
    return { lines: [{ ...line, ...judge(aim, [], {}), note: "there is no npm run sim" }], violations: [] };
  const command = ["npm", "--prefix", root, "run", "--silent", "sim"];
  const contender: Contender = {
    name: `${ours}simulator`,
    about: "",
    run: async () => {
      const json = (await runForJson({ command, medium: "tmpfs", timeoutMs: 1_200_000, signal })) as Record<string, number>;
      const { steps = Number.NaN, seconds = Number.NaN, steps_per_second: perSecond = steps / seconds, violations = 0 } = json;
      return { figures: { perSecond }, lost: violations, doubled: 0 };
    },
  };
  const { values, notes, violations } = await takeTurns([contender], options.rounds);
  const found = (values.get(contender.name) ?? []).map(({ figures }) => figures["perSecond"] ?? Number.NaN).filter(Number.isFinite);
  return { lines: [{ ...line, ...judge(aim, found, {}), ...(notes.length > 0 && { note: notes.join("; ") }) }], violations };
}
