import { existsSync } from "node:fs";
import { readConfig } from "../../../config.ts";
import { areas, type Area, type Finding } from "../../../doctor/finding.ts";
import {
  judgeAgents,
  judgeClones,
  judgeDatabase,
  judgeDisk,
  judgeKeys,
  judgeNetwork,
  judgeNotifications,
  judgePorts,
  judgeProcesses,
  judgeRuntime,
  judgeServer,
  missingFolders,
} from "../../../doctor/judge.ts";
import { AppError, invalidInput } from "../../../errors.ts";
import { nearest } from "../../../flows/suggest.ts";
import { version } from "../../../version.ts";
import { findGit } from "../../../workspaces/find-git.ts";
import {
  lookAtAgents,
  lookAtChannels,
  lookAtDisk,
  lookAtNetwork,
  lookAtPorts,
  lookAtProviders,
  lookForServer,
  type Running,
} from "../doctor/look.ts";
import { mend } from "../doctor/mend.ts";
import { count, note, oneLine, print, printJson, styled } from "../output.ts";

/**
 * Looks at everything that Tutti needs, or at one area of it. With `fix` it first mends what can be mended without risk, says what
 * it did, and looks again. Sets exit code 5 when a problem is left. Throws AppError invalid_input for an area that there is not.
 */
export async function doctor(given: string | undefined, { fix = false }: { fix?: boolean }, json: boolean): Promise<void> {
  const wanted = given === undefined ? areas : [areaOf(given)];
  let findings = await examine(wanted);
  const mended: string[] = [];
  if (fix) {
    mended.push(...(await mendAll(findings)));
    if (mended.length > 0) findings = await examine(wanted);
  }
  const problems = findings.filter(({ state }) => state === "problem").length;
  const mendable = findings.filter((finding) => finding.mend !== null).length;
  if (problems > 0) process.exitCode = 5;
  if (json) return printJson({ ok: problems === 0, problems, fixable: mendable, mended, findings: findings.map(publicFinding) });
  for (const line of mended) note(`${styled("green", "mended", process.stderr)}  ${oneLine(line)}`);
  let last: Area | null = null;
  for (const finding of findings) {
    print(line(finding, finding.area !== last));
    last = finding.area;
  }
  note(summary(problems, mendable));
}

const publicFinding = ({ mend: how, ...finding }: Finding) => ({ ...finding, fixable: how !== null });

const summary = (problems: number, mendable: number): string =>
  `${problems === 0 ? "no problems" : count(problems, "problem")}${mendable === 0 ? "" : `, ${mendable} fixable: tutti doctor --fix`}`;

/** Other words for an area, as a person may call it. */
const otherNames: [RegExp, Area][] = [
  [/^(git|clone|worktrees?)$/, "clones"],
  [/^(sandbox|containers?)$/, "processes"],
  [/^(daemon|version|log)$/, "server"],
  [/^(db|store)$/, "database"],
];

function areaOf(word: string): Area {
  const lower = word.toLowerCase();
  const known = areas.find((area) => area === lower || area === `${lower}s`) ?? otherNames.find(([names]) => names.test(lower))?.[1];
  if (known) return known;
  throw invalidInput(`there is no area "${oneLine(word)}"`, `there are: ${areas.join(", ")}`, [
    `tutti doctor ${nearest(word, areas) ?? ""}`.trimEnd(),
  ]);
}

/** The areas that only a server can tell about are left out without one: that there is none is said once, as the server's problem. */
async function examine(wanted: readonly Area[]): Promise<Finding[]> {
  const config = readConfig();
  const { seen, running } = await lookForServer(config, wanted.includes("database"));
  const missing = running ? missingFolders(config.path, running.health.path, existsSync) : [];
  const own = { home: config.home, version, missing };
  const withServer = async (look: (running: Running) => Promise<Finding[]> | Finding[]): Promise<Finding[]> =>
    running ? await look(running) : [];
  const looks: Record<Area, () => Promise<Finding[]>> = {
    runtime: async () => judgeRuntime({ node: process.version, sqlite: process.versions["sqlite"] ?? "?" }),
    server: async () => judgeServer(seen, own),
    database: () => withServer(({ health }) => judgeDatabase(health.database)),
    disk: async () => judgeDisk(await lookAtDisk(config.home)),
    clones: async () => judgeClones(findGit(config.path)),
    processes: () => withServer(({ health }) => judgeProcesses(health.processes)),
    agents: () => withServer(async ({ client }) => judgeAgents(await lookAtAgents(client))),
    keys: () => withServer(async ({ client, health }) => judgeKeys(await lookAtProviders(client, health.home))),
    network: async () => judgeNetwork(await lookAtNetwork()),
    ports: async () => judgePorts(await lookAtPorts(config, running?.url ?? null)),
    notifications: () => withServer(async ({ client }) => judgeNotifications(await lookAtChannels(client))),
  };
  const all = await Promise.all(wanted.map((area) => looks[area]().catch((error: unknown) => [unseen(area, error)])));
  const needsServer = !running && wanted.length === 1 && all.flat().length === 0;
  return needsServer ? judgeServer(seen, own) : all.flat();
}

/** What this token may not ask, or what the server could not say: a finding too. Anything else is a bug and rises. */
function unseen(area: Area, error: unknown): Finding {
  if (!(error instanceof AppError)) throw error;
  const state = error.code === "forbidden" ? "warning" : "problem";
  return { area, state, message: `it cannot be looked at: ${error.message}`, fix: error.fix[0] ?? null, mend: null };
}

async function mendAll(findings: Finding[]): Promise<string[]> {
  const config = readConfig();
  const { running } = await lookForServer(config, false);
  const done: string[] = [];
  for (const kind of new Set(findings.map((finding) => JSON.stringify(finding.mend)))) {
    const what = JSON.parse(kind) as Finding["mend"];
    const said = what && (await mend(what, { home: config.home, client: running?.client ?? null }));
    if (said) done.push(said);
  }
  return done;
}

function line({ area, state, message, fix }: Finding, isFirst: boolean): string {
  const sign = { ok: styled("green", "✓"), warning: styled("yellow", "!"), problem: styled("red", "✗") }[state];
  const name = isFirst ? area.padEnd(13) : " ".repeat(13);
  return `${sign} ${name}  ${oneLine(message)}${fix ? `\n                 ${styled("dim", "try")}  ${oneLine(fix)}` : ""}`;
}
