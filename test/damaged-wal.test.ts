import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { after, before, suite, test } from "node:test";
import { openDb } from "../src/db/open.ts";
import { AppError } from "../src/errors.ts";

/**
 * A real store whose process was killed with -9, with everything in a write-ahead log that no checkpoint has taken over. Copies of it
 * are damaged: cut at a random place, or one bit turned over. SQLite opens them all as sound stores with fewer rows.
 */
const folder = mkdtempSync(join(tmpdir(), "tutti-wal-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Kills the child once it said this many lines; answers how many writes it was told were kept. */
async function killAfter(home: string, wanted: number, writes: number): Promise<number> {
  const program = join(import.meta.dirname, "../src/db/store.child.ts");
  const child = spawn(process.execPath, [program, "with transcripts", home], {
    env: { ...process.env, TUTTI_TEST_WRITES: String(writes) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let acknowledged = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("acknowledged")) acknowledged = Number(line.split(" ")[1]);
    if (line === "waiting" || acknowledged >= wanted) child.kill("SIGKILL");
  }
  const [, signal] = (await exited) as [number | null, string | null];
  assert.equal(signal, "SIGKILL");
  return acknowledged;
}

/** Numbers from 0 to 1, the same in each run (mulberry32, Tommy Ettinger, public domain). */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const walOf = (home: string): string => join(home, "tutti.db-wal");

/** The store as it was when its process died: without the shared memory, which is of that process's time. */
function copyOf(home: string, name: string): string {
  const copy = join(folder, name);
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy);
  for (const each of ["tutti.db", "tutti.db-wal", "high-water"]) cpSync(join(home, each), join(copy, each), { recursive: true });
  return copy;
}

type Damage = { cut: number } | { byte: number; bit: number };

function damagesOf(size: number, random: () => number): Damage[] {
  const place = (): number => Math.floor(random() * size);
  return Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? { cut: place() } : { byte: place(), bit: Math.floor(random() * 8) }));
}

function damage(home: string, how: Damage): void {
  if ("cut" in how) return truncateSync(walOf(home), how.cut);
  const bytes = readFileSync(walOf(home));
  bytes[how.byte] = (bytes[how.byte] ?? 0) ^ (1 << how.bit);
  writeFileSync(walOf(home), bytes);
}

/** Whether a server would start on it; the refusal otherwise. */
async function open(home: string): Promise<AppError | null> {
  try {
    const db = await openDb({ home, databaseUrl: undefined, crashAt: null });
    await db.close();
    return null;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** What SQLite itself says of a store, and how many of the writes are in it. */
function lookAt(home: string): { integrity: string; writes: number } {
  const db = new DatabaseSync(join(home, "tutti.db"), { readOnly: true });
  try {
    const integrity = String(db.prepare("pragma integrity_check").get()?.["integrity_check"]);
    const isEmpty = db.prepare("select 1 from sqlite_schema where name = 'events'").get() === undefined;
    const count = "select (select count(*) from events) + (select count(*) from transcript_segments) as n";
    return { integrity, writes: isEmpty ? 0 : Number(db.prepare(count).get()?.["n"]) };
  } finally {
    db.close();
  }
}

suite("a damaged write-ahead log", () => {
  const quiet = join(folder, "quiet");
  const busy = join(folder, "busy");
  let acknowledged = 0;

  before(async () => {
    mkdirSync(quiet);
    mkdirSync(busy);
    // The last one has no event.
    assert.equal(await killAfter(quiet, Infinity, 201), 201);
    // Far enough that the log began anew some times: behind its end lie frames of its earlier rounds.
    acknowledged = await killAfter(busy, 1_500, 100_000);
  });

  test("a store that was only killed opens, with everything that was acknowledged", async () => {
    for (const [home, writes] of [
      [quiet, 201],
      [busy, acknowledged],
    ] as const) {
      const copy = copyOf(home, "whole");
      assert.ok(lookAt(copy).writes >= writes);
      assert.equal(await open(copy), null);
    }
  });

  test("of 200 damages to a log that holds everything 200 are noticed; SQLite itself notices none", async () => {
    let noticed = 0;
    let noticedBySqlite = 0;
    for (const how of damagesOf(readFileSync(walOf(quiet)).length, numbersFrom(1))) {
      const copy = copyOf(quiet, "damaged");
      damage(copy, how);
      const refused = await open(copy);
      assert.ok(refused, `${JSON.stringify(how)} was not noticed`);
      assert.equal(refused.code, "damaged");
      assert.match(refused.why ?? "", /\d+ committed transactions? (is|are) missing/);
      noticed += 1;
      // The refusal has changed nothing: the log is still there to be looked at.
      assert.deepEqual(lookAt(copy).integrity, "ok");
      if (lookAt(copy).integrity !== "ok") noticedBySqlite += 1;
      assert.ok(lookAt(copy).writes < 201, `${JSON.stringify(how)} has lost something`);
    }
    assert.deepEqual({ noticed, noticedBySqlite }, { noticed: 200, noticedBySqlite: 0 });
  });

  test("control: without the mark none of them is noticed", async () => {
    const random = numbersFrom(1);
    let noticed = 0;
    for (const how of damagesOf(readFileSync(walOf(quiet)).length, random).slice(0, 20)) {
      const copy = copyOf(quiet, "damaged");
      damage(copy, how);
      rmSync(join(copy, "high-water"), { recursive: true });
      if (await open(copy)) noticed += 1;
    }
    assert.equal(noticed, 0);
  });

  test("in a store that was killed at full work a damage is noticed exactly when something acknowledged is gone", async () => {
    const whole = lookAt(copyOf(busy, "whole")).writes;
    let [lost, noticed] = [0, 0];
    for (const how of damagesOf(readFileSync(walOf(busy)).length, numbersFrom(2))) {
      const copy = copyOf(busy, "damaged");
      damage(copy, how);
      const refused = await open(copy);
      const { writes } = lookAt(copy);
      if (writes < acknowledged) lost += 1;
      if (refused) noticed += 1;
      const seen = `${JSON.stringify(how)}: ${writes} of ${acknowledged} acknowledged, ${whole} committed`;
      if (writes < acknowledged) assert.equal(refused?.code, "damaged", seen);
      // One that was committed and not answered any more may be in the mark or not.
      else assert.ok(!refused || writes < whole, seen);
    }
    assert.ok(lost > 0 && noticed >= lost, `${noticed} noticed, ${lost} lost`);
  });

  test("also the loss of nothing but the newest transcript is noticed", async () => {
    const copy = copyOf(quiet, "newest");
    damage(copy, { cut: readFileSync(walOf(copy)).length - 1 });
    assert.equal((await open(copy))?.code, "damaged");
    assert.equal(lookAt(copy).writes, 200);
  });

  test("a log that is gone, and a store that is gone, are noticed", async () => {
    const copy = copyOf(quiet, "gone");
    rmSync(walOf(copy));
    assert.equal((await open(copy))?.code, "damaged");
    rmSync(join(copy, "tutti.db"));
    assert.equal((await open(copy))?.code, "damaged");
  });
});
