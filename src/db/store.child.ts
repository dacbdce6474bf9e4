import { rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseCrashPoint } from "./crash.ts";
import { lockHome } from "./lock.ts";
import { migrateSqlite } from "./migrate.ts";
import { openDb } from "./open.ts";
import { type Db, type Plan, sql, statement } from "./plan.ts";
import { watchSpace } from "./space.ts";

/** A process of its own for tests that kill it: `store.child.ts <mode> <home> [database url]`. What it did it says on stdout at once. */
const [mode, home = "", databaseUrl] = process.argv.slice(2);
const say = (text: string): number => writeSync(1, `${text}\n`);

const write = (n: number): Plan => ({ statements: [], events: [{ stream: "child", type: "child.wrote", data: { n } }] });

const transcript = (n: number): Plan => ({
  statements: [statement(sql`insert into transcript_segments (session, turn, part, data) values ('s', 1, ${n}, ${`said ${n}`})`)],
  events: [],
});

/** On a small disk: whether work may start when it is empty, nearly full, full, and empty again. */
async function watchTheDisk(): Promise<void> {
  const changes: boolean[] = [];
  const space = watchSpace({ folder: home, onChange: (mayStart) => changes.push(mayStart), everyMs: 20 });
  const db = await openDb({ home, databaseUrl, crashAt: null, onFull: () => space.refused() });
  await space.look();
  const empty = space.mayStart();
  const ballast = join(home, "ballast");
  const { free = 0, reserve = 0 } = space.seen() ?? {};
  writeFileSync(ballast, Buffer.alloc(free - reserve + 4096));
  await space.look();
  const belowReserve = space.mayStart();
  rmSync(ballast);
  await space.look();
  // From here on only a failed write tells: nothing is looked at.
  space.stop();
  writeFileSync(ballast, Buffer.alloc(free - 2 * reserve));
  let full = "";
  for (let n = 1; full === ""; n += 1) {
    await db
      .commit({
        statements: [statement(sql`insert into artifacts (id, size, created_at) values (${`${n}${"x".repeat(60_000)}`}, 1, 1)`)],
        events: [],
      })
      .catch((error: { code?: unknown }) => void (full = String(error.code)));
  }
  const whenFull = space.mayStart();
  rmSync(ballast);
  await space.look();
  say(JSON.stringify({ empty, belowReserve, full, whenFull, again: space.mayStart(), changes }));
  await db.close();
}

async function run(): Promise<void> {
  if (mode === "space") return await watchTheDisk();
  if (mode === "lock") {
    lockHome(home);
    say("locked");
    // Until it is killed.
    setInterval(() => undefined, 60_000);
    return;
  }
  if (mode === "migrate") return migrateAndDie(Number(process.argv[4]));
  const db = await openDb({ home, databaseUrl, crashAt: parseCrashPoint(process.env["TUTTI_CRASH_AT"]) });
  switch (mode) {
    case "one by one":
      for (let n = 1; n <= 10; n += 1) {
        await db.commit(write(n));
        say(`acknowledged ${n}`);
      }
      break;
    case "together":
      await Promise.all(Array.from({ length: 500 }, (_, index) => db.commit(write(index + 1))));
      say("acknowledged 500");
      await db.commit(write(501));
      say("acknowledged 501");
      break;
    case "without end":
      for (let n = 1; ; n += 1) {
        await db.commit(write(n));
        say(`acknowledged ${n}`);
      }
    case "with transcripts": {
      // Every second one has no event, as a transcript has none. Then it waits until it is killed.
      const many = Number(process.env["TUTTI_TEST_WRITES"] ?? 200);
      for (let n = 1; n <= many; n += 1) {
        await db.commit(n % 2 === 0 ? write(n) : transcript(n));
        say(`acknowledged ${n}`);
      }
      say("waiting");
      setInterval(() => undefined, 60_000);
      return;
    }
    case "nothing":
      say("opened");
      return;
    case "no close":
      await db.commit(write(1));
      say("acknowledged 1");
      return;
    case "fill the disk":
      await fillTheDisk(db);
      break;
    default:
      throw new Error(`there is no mode ${mode}`);
  }
  await db.close();
}

function migrateAndDie(at: number): void {
  const file = new DatabaseSync(join(home, "tutti.db"));
  file.exec("pragma journal_mode = wal; pragma synchronous = full");
  migrateSqlite(file, { beforeStatement: (index) => void (index === at && process.kill(process.pid, "SIGKILL")) });
  say("migrated");
}

/** On a small disk: what was refused, whether reading goes on meanwhile, and whether writing goes on when there is space again. */
async function fillTheDisk(db: Db): Promise<void> {
  const ballast = join(home, "ballast");
  writeFileSync(ballast, Buffer.alloc(2_000_000));
  const megabyte = "x".repeat(1_000_000);
  const insert = (n: number): Plan => ({
    statements: [statement(sql`insert into artifacts (id, size, created_at) values (${`${n}${megabyte}`}, 1, 1)`)],
    events: write(n).events,
  });
  let written = 0;
  let refused = "";
  while (refused === "") {
    const answers = await Promise.allSettled([db.commit(insert(written + 1)), db.commit(write(written + 1))]);
    for (const answer of answers) if (answer.status === "rejected") refused = String(answer.reason.code);
    if (refused === "") written += 1;
  }
  const rows = await db.read.one<{ n: number }>(sql`select count(*) as n from artifacts`);
  rmSync(ballast);
  const recovered = await db.commit(insert(written + 1));
  const events = await db.read.one<{ n: number }>(sql`select count(*) as n from events`);
  say(JSON.stringify({ refused, written, rows: rows?.n, recovered: recovered.kind, events: events?.n }));
}

await run();
