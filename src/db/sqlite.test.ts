import assert from "node:assert/strict";
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import type { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeMovableClock, type MovableClock } from "../../test/support/clock.ts";
import { firstBrokenEvent } from "./chain.ts";
import { type Plan, sql, statement } from "./plan.ts";
import { openSqlite, refuseUnsafeSqlite } from "./sqlite.ts";
import { type StoreHarness, storeSuite } from "./store.suite.ts";

async function makeHarness(): Promise<StoreHarness> {
  const folder = await mkdtemp(join(tmpdir(), "tutti-store-"));
  const clocks = new Map<string, MovableClock>();
  const clockOf = (store: string): MovableClock => {
    const clock = clocks.get(store) ?? makeMovableClock();
    clocks.set(store, clock);
    return clock;
  };
  return {
    bytesType: "blob",
    open: (store, options) => openSqlite({ file: join(folder, `${store}.db`), clockOffset: clockOf(store).offset, ...options }),
    outside: async (store, text) => outside(join(folder, `${store}.db`), text),
    moveClock: async (store, ms) => clockOf(store).move(ms),
    stop: () => rm(folder, { recursive: true, force: true }),
  };
}

function outside(file: string, text: string): Record<string, unknown>[] {
  const db = new DatabaseSync(file, { timeout: 5000 });
  try {
    return db.prepare(text).all();
  } finally {
    db.close();
  }
}

storeSuite("SQLite", makeHarness);

/** A mount namespace of the child's own: the small disk is gone with it. */
const unshare = process.getuid?.() === 0 ? ["--mount"] : ["--map-root-user", "--mount"];

/** Why this machine cannot make a small disk for one process, or false. */
function whyNoMount(): string | false {
  try {
    execFileSync("unshare", [...unshare, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmpdir()], { stdio: "ignore" });
    return false;
  } catch {
    return "mount namespaces are not permitted here";
  }
}

/** The command before the child's own: mounts 8 MB at the folder, then becomes the child. */
const inSmallDisk = (folder: string): string[] => [
  "unshare",
  ...unshare,
  "sh",
  "-c",
  'mkdir "$0" && mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"',
  folder,
];

describe("only SQLite", () => {
  let folder = "";
  let count = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tutti-sqlite-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  /** A folder for one test. */
  const newHome = (): Promise<string> => mkdtemp(join(folder, `home${(count += 1)}-`));
  const newFile = async (): Promise<string> => join(await newHome(), "tutti.db");

  const childEvents = (home: string): number[] =>
    outside(join(home, "tutti.db"), "select seq from events where stream = 'child' order by seq").map(({ seq }) => Number(seq));

  test("a SQLite with the WAL fault is refused", () => {
    for (const version of ["3.51.2", "3.40.1", "2.99.9", "3.7.0", ""]) {
      assert.throws(() => refuseUnsafeSqlite(version), { code: "failed" }, version);
    }
    for (const version of ["3.51.3", "3.51.10", "3.52.0", "4.0.0", process.versions["sqlite"] ?? ""]) refuseUnsafeSqlite(version);
  });

  test("the store is in WAL mode, readable by its owner only, and leaves one file behind when closed", async () => {
    const file = await newFile();
    const db = await openSqlite({ file });
    await db.commit({ statements: [], events: [{ stream: "s", type: "t", data: {} }] });
    assert.equal(outside(file, "pragma journal_mode")[0]?.["journal_mode"], "wal");
    for (const name of [file, `${file}-wal`]) assert.equal(statSync(name).mode & 0o077, 0, name);
    await db.close();
    assert.equal(statSync(`${file}-wal`, { throwIfNoEntry: false }), undefined);
  });

  test("killed before a commit the plan is gone, killed after it the plan is there and nobody was told", async () => {
    for (const [at, told, stored] of [
      ["commit:4", 3, 3],
      ["commit:4:before", 3, 3],
      ["commit:4:after", 3, 4],
      ["commit:11", 10, 10],
    ] as const) {
      const home = await newHome();
      const child = await runChild(["one by one", home], { TUTTI_CRASH_AT: at });
      assert.equal(child.signal, at === "commit:11" ? null : "SIGKILL", at);
      assert.deepEqual(
        child.said,
        Array.from({ length: told }, (_, index) => `acknowledged ${index + 1}`),
        at,
      );
      assert.equal(childEvents(home).length, stored, at);
      const db = await openSqlite({ file: join(home, "tutti.db") });
      assert.equal(await firstBrokenEvent(db.read, "child"), null);
      await db.close();
    }
  });

  test("plans that wait are written in groups: five hundred at once take at most sixty-three transactions", async () => {
    const home = await newHome();
    // Groups have at least eight plans, and more where plans are fast or a COMMIT is slow.
    const child = await runChild(["together", home], { TUTTI_CRASH_AT: "commit:64" });
    assert.equal(child.signal, null);
    assert.deepEqual(child.said, ["acknowledged 500", "acknowledged 501"]);
    assert.equal(childEvents(home).length, 501);
  });

  test("whatever was acknowledged before a kill -9 from outside is there afterwards", async () => {
    for (const lines of [1, 40, 150]) {
      const home = await newHome();
      const child = startChild(["without end", home]);
      const said: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) {
        if (said.push(line) === lines) child.kill("SIGKILL");
      }
      const stored = childEvents(home).length;
      assert.ok(said.length >= lines && (stored === said.length || stored === said.length + 1), `${said.length} told, ${stored} stored`);
    }
  });

  test("a store that is idle keeps no process alive, even unclosed", async () => {
    const child = await runChild(["no close", await newHome()]);
    assert.deepEqual([child.code, child.said], [0, ["acknowledged 1"]]);
    const unused = await runChild(["nothing", await newHome()]);
    assert.deepEqual([unused.code, unused.said], [0, ["opened"]]);
  });

  test("a plan that ends the whole transaction fails alone, the plans beside it are written one by one", async () => {
    const file = await newFile();
    const db = await openSqlite({ file });
    const counter = (name: string): Plan["statements"][number] => statement(sql`insert into counters (name, next) values (${name}, 1)`);
    await db.commit({ statements: [counter("taken")], events: [] });
    const results = await Promise.allSettled(
      Array.from({ length: 9 }, (_, index) => {
        const statements = [counter(`c${index}`)];
        if (index === 4) statements.push(statement(sql`insert or rollback into counters (name, next) values ('taken', 1)`));
        return db.commit({ statements, events: [{ stream: "s", type: "t", data: { index } }] });
      }),
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      Array.from({ length: 9 }, (_, index) => (index === 4 ? "rejected" : "fulfilled")),
    );
    assert.match(String(results.find((result) => result.status === "rejected")?.reason), /UNIQUE constraint failed/);
    assert.deepEqual(await db.read.one(sql`select count(*) as n from counters where name like 'c%'`), { n: 8 });
    assert.equal(await firstBrokenEvent(db.read, "s"), null);
    await db.close();
  });

  test("numbers have no gap over a clean stop, and never come twice after a kill", async () => {
    const file = await newFile();
    const numbers: number[] = [];
    for (const takes of [1, 3, 50, 2]) {
      const db = await openSqlite({ file });
      numbers.push(...(await Promise.all(Array.from({ length: takes }, () => db.nextNumber("task")))));
      await db.close();
    }
    assert.deepEqual(
      numbers,
      Array.from({ length: 56 }, (_, index) => index + 1),
    );
    const unclosed = await openSqlite({ file });
    const last = await unclosed.nextNumber("task");
    const afterKill = await openSqlite({ file });
    assert.ok((await afterKill.nextNumber("task")) > last);
    await afterKill.close();
    await unclosed.close();
  });

  test("thousands of different statement texts do not fill the memory, and all of them run", async () => {
    const db = await openSqlite({ file: await newFile() });
    await db.commit({ statements: [statement(sql`insert into counters (name, next) values ('texts', 0)`)], events: [] });
    for (let round = 0; round < 6; round += 1) {
      const plans = Array.from({ length: 1000 }, (_, index) => {
        const text = `update counters set next = next + 1 where name = 'texts' and ${round * 1000 + index} >= 0`;
        return db.commit({ statements: [statement({ pieces: [text] })], events: [] });
      });
      for (const answer of await Promise.all(plans)) assert.equal(answer.kind, "committed");
    }
    assert.deepEqual(await db.read.one(sql`select next from counters where name = 'texts'`), { next: 6000 });
    await db.close();
  });

  test(
    "a full disk refuses plans as disk_full, loses nothing, stays readable and takes plans when there is space again",
    { skip: whyNoMount() },
    async () => {
      const disk = join(await newHome(), "disk");
      const child = await runChild(["fill the disk", disk], {}, inSmallDisk(disk));
      assert.equal(child.code, 0);
      const { refused, written, rows, recovered, events } = JSON.parse(child.said[0] ?? "{}") as {
        refused: string;
        written: number;
        rows: number;
        recovered: string;
        events: number;
      };
      assert.deepEqual([refused, recovered], ["disk_full", "committed"]);
      assert.ok(written > 0);
      assert.equal(rows, written);
      // Two for each round that fitted and one for the recovery; in the round that was refused the small plan may have fitted.
      assert.ok([1, 2].includes(events - 2 * written), `${events} events after ${written} rounds`);
    },
  );
});

type Child = ChildProcessByStdio<null, Readable, null>;

function startChild(args: string[], environment: Record<string, string> = {}, before: string[] = []): Child {
  const [command = "", ...rest] = [...before, process.execPath, fileURLToPath(new URL("./store.child.ts", import.meta.url)), ...args];
  // One that does not end is killed, so that its test fails and hangs nothing.
  const bounded = { timeout: 20_000, killSignal: "SIGTERM" } as const;
  return spawn(command, rest, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...environment }, ...bounded });
}

async function runChild(
  ...given: Parameters<typeof startChild>
): Promise<{ said: string[]; code: number | null; signal: NodeJS.Signals | null }> {
  const child = startChild(...given);
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
  const [[code, signal]] = (await Promise.all([once(child, "exit"), once(lines, "close")])) as [
    [number | null, NodeJS.Signals | null],
    unknown,
  ];
  return { said, code, signal };
}
