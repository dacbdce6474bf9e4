import { rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseCrashPoint } from "./crash.ts";
import { lockHome } from "./lock.ts";
import { migrateSqlite } from "./migrate.ts";
import { openDb } from "./open.ts";
import { type Db, type Plan, sql, statement } from "./plan.ts";

/** A process of its own for tests that kill it: `store.child.ts <mode> <home> [database url]`. What it did it says on stdout at once. */
const [mode, home = "", databaseUrl] = process.argv.slice(2);
const say = (text: string): number => writeSync(1, `${text}\n`);

const write = (n: number): Plan => ({ statements: [], events: [{ stream: "child", type: "child.wrote", data: { n } }] });

async function run(): Promise<void> {
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
