import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { emptyHead, type Head, nextHead, sha256 } from "./chain.ts";
import { makeCrashCounter } from "./crash.ts";
import type { SqlValue } from "./plan.ts";
import { moveHighWater } from "./high-water.ts";
import { makeClock, type ToWriter, toWireError, type WireAnswer, type WireError, type WirePlans, type WriterStart } from "./sqlite-wire.ts";

/**
 * The thread that owns the only writing connection, so that no fsync ever blocks the server. All plans that wait become one
 * transaction, with nothing asynchronous between begin and commit; answers leave after COMMIT.
 */
const start = workerData as WriterStart;
const port = parentPort as MessagePort;
const now = makeClock(start.clockOffset);
const crash = makeCrashCounter(start.crashAt);
const maxPlansInTransaction = 1000;
const maxPrepared = 1000;

const db = new DatabaseSync(start.file, { timeout: 5000 });
// A savepoint's journal in memory: in a file it costs more than the plan. Checkpoints seldom: pages that are hot are copied once for many
// commits; the log stays below 64 MB.
db.exec(
  "pragma synchronous = full; pragma cache_size = -64000; pragma temp_store = memory; pragma wal_autocheckpoint = 8000; pragma journal_size_limit = 67108864",
);
db.function("tutti_now", () => now());

const begin = db.prepare("begin immediate");
const commit = db.prepare("commit");
const savepoint = db.prepare("savepoint plan");
const release = db.prepare("release plan");
const backToSavepoint = db.prepare("rollback to plan");
const readHead = db.prepare("select seq, head from streams where id = ?");
const saveHead = db.prepare(
  `insert into streams (id, seq, head, commits) values (?, ?, ?, ?)
    on conflict (id) do update set seq = excluded.seq, head = excluded.head, commits = excluded.commits`,
);
const stampInstance = db.prepare("update streams set commits = ? where id = 'instance'");
const insertEvent = db.prepare(
  "insert into events (stream, seq, type, at, task, run, session, data, payload_hash, hash) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
);

interface StreamRow extends Head {
  id: string;
  commits: number;
}
const streams = db.prepare("select id, seq, head, commits from streams").all() as unknown as StreamRow[];
/** The number of the newest transaction, which the mark outside of the store has too. */
let commits = Math.max(0, ...streams.map((row) => row.commits));
const mark = moveHighWater({
  path: start.highWater,
  counts: true,
  heads: new Map(streams.map(({ id, seq, head }) => [id, { seq, head }])),
  everyMs: 1000,
});

interface Prepared {
  statement: StatementSync;
  returnsRows: boolean;
}

/** By their number on the wire; a text is prepared when it is first run. */
let texts: string[] = [];
let prepared: (Prepared | undefined)[] = [];
let preparedCount = 0;

/** Set once the disk failed in a COMMIT: what it holds is not known any more, so nothing is written until a restart has read it. */
let broken: WireError | null = null;

interface PlanToWrite {
  statements: { text: number; expect: number; rows: SqlValue[][] }[];
  events: [stream: string, type: string, task: string | null, run: string | null, session: string | null, data: string][];
}

port.on("message", (first: ToWriter) => {
  const plans: PlanToWrite[] = [];
  let messages = 0;
  // What came in during the last transaction is taken at once: this is what makes a group.
  for (let message: ToWriter | undefined = first; message; message = nextMessage()) {
    if (message.kind === "close") {
      writeAll(plans, messages);
      db.close();
      mark.close();
      port.close();
      return;
    }
    if (message.forget) {
      // The plans so far still mean the old numbers.
      writeAll(plans.splice(0), messages);
      messages = 0;
      texts = [];
      forgetPrepared();
    }
    for (const text of message.texts) texts.push(text);
    messages += 1;
    unpack(message.plans, plans);
    if (plans.length >= maxPlansInTransaction) break;
  }
  writeAll(plans, messages);
});

const nextMessage = (): ToWriter | undefined => receiveMessageOnPort(port)?.message as ToWriter | undefined;

function writeAll(plans: PlanToWrite[], messages: number): void {
  if (plans.length > 0) port.postMessage({ kind: "answers", messages, answers: writeGroup(plans) });
}

/** The plans of one message, behind those that are there. */
function unpack({ shape, values }: WirePlans, plans: PlanToWrite[]): void {
  let [place, value] = [0, 0];
  const take = (count: number): SqlValue[] => values.slice(value, (value += count));
  while (place < shape.length) {
    const [statementCount = 0, eventCount = 0] = [shape[place], shape[place + 1]];
    place += 2;
    const statements = Array.from({ length: statementCount }, () => {
      const [text = 0, expect = 0, runs = 0, width = 0] = shape.slice(place, (place += 4));
      return { text, expect, rows: Array.from({ length: runs }, () => take(width)) };
    });
    plans.push({ statements, events: Array.from({ length: eventCount }, () => take(6) as PlanToWrite["events"][number]) });
  }
}

/** When a whole transaction is lost to an error, its plans run again one by one, so that only the guilty one fails. */
function writeGroup(plans: PlanToWrite[]): WireAnswer[] {
  const failure = broken ?? tryBegin();
  if (failure) return plans.map(() => failure);
  try {
    return writeTransaction(plans);
  } catch (error) {
    if (db.isTransaction) db.exec("rollback");
    if (isFailedSync(error)) {
      broken = toWireError(error, true);
      return plans.map(() => toWireError(error, true));
    }
    if (plans.length === 1) return [toWireError(error)];
    return plans.flatMap((plan) => writeGroup([plan]));
  }
}

/** The error with which no transaction could begin (somebody else holds the file, against the rules). */
function tryBegin(): WireError | null {
  try {
    begin.run();
    return null;
  } catch (error) {
    return toWireError(error);
  }
}

/**
 * First without savepoints, whose journal costs more than many a plan. When one of the plans does not hold, which is rare, all is rolled
 * back and they run again with a savepoint each, so that this one alone is left out.
 */
function writeTransaction(plans: PlanToWrite[]): WireAnswer[] {
  const heads = new Map<string, Head>();
  const together: WireAnswer[] = [];
  for (const plan of plans) {
    const answer = tryPlan(plan, heads);
    together.push(answer);
    if (Array.isArray(answer)) continue;
    db.exec("rollback");
    return plans.length === 1 ? together : writeApart(plans);
  }
  finish(heads);
  return together;
}

function writeApart(plans: PlanToWrite[]): WireAnswer[] {
  begin.run();
  const heads = new Map<string, Head>();
  const answers = plans.map((plan) => writePlan(plan, heads));
  if (answers.some((answer) => Array.isArray(answer))) finish(heads);
  else db.exec("rollback");
  return answers;
}

function finish(heads: ReadonlyMap<string, Head>): void {
  const number = commits + 1;
  for (const [stream, { seq, head }] of heads) saveHead.run(stream, seq, head, number);
  if (heads.size === 0) stamp(number);
  crash.begin();
  crash.check("before");
  commit.run();
  crash.check("after");
  commits = number;
  mark.note(number, heads);
}

/** A transaction without events has its number in the instance's row: no table more is written than needs to be. */
function stamp(number: number): void {
  if (Number(stampInstance.run(number).changes) === 0) saveHead.run("instance", emptyHead.seq, emptyHead.head, number);
}

const headOf = (stream: string): Head => (readHead.get(stream) as Head | undefined) ?? emptyHead;

/** One plan in its savepoint. Throws only when the transaction around it is gone. */
function writePlan(plan: PlanToWrite, heads: Map<string, Head>): WireAnswer {
  savepoint.run();
  const answer = tryPlan(plan, heads);
  if (!Array.isArray(answer)) backToSavepoint.run();
  release.run();
  return answer;
}

function tryPlan(plan: PlanToWrite, heads: Map<string, Head>): WireAnswer {
  for (const [index, { text, expect, rows }] of plan.statements.entries()) {
    try {
      const touched = run(text, rows);
      if (expect !== -1 && touched !== expect) return index;
    } catch (error) {
      if (!db.isTransaction) throw error;
      return isUniqueViolation(error) ? index : toWireError(error);
    }
  }
  try {
    return appendEvents(plan, heads);
  } catch (error) {
    if (!db.isTransaction) throw error;
    return toWireError(error);
  }
}

/** Rows touched, or returned when the statement returns any columns, over all the times that it runs. */
function run(number: number, rows: SqlValue[][]): number {
  const { statement, returnsRows } = prepare(number);
  let touched = 0;
  for (const values of rows) touched += returnsRows ? statement.all(...values).length : Number(statement.run(...values).changes);
  return touched;
}

function prepare(number: number): Prepared {
  const found = prepared[number];
  if (found) return found;
  if (preparedCount >= maxPrepared) forgetPrepared();
  const statement = db.prepare(texts[number] ?? "");
  const made = { statement, returnsRows: statement.columns().length > 0 };
  prepared[number] = made;
  preparedCount += 1;
  return made;
}

function forgetPrepared(): void {
  prepared = [];
  preparedCount = 0;
}

/** Numbers a plan's events; the new heads count only when all of them are in. Answers the time and the numbers. */
function appendEvents(plan: PlanToWrite, heads: Map<string, Head>): number[] {
  const at = now();
  if (plan.events.length === 0) return [at];
  const moved = new Map<string, Head>();
  const seqs = plan.events.map(([stream, type, task, run, session, data]) => {
    const before = moved.get(stream) ?? heads.get(stream) ?? headOf(stream);
    const payloadHash = sha256(data);
    const next = nextHead(before, { stream, type }, payloadHash);
    insertEvent.run(stream, next.seq, type, at, task, run, session, data, payloadHash, next.head);
    moved.set(stream, next);
    return next.seq;
  });
  for (const [stream, head] of moved) heads.set(stream, head);
  return [at, ...seqs];
}

const errcode = (error: unknown): number => (error as { errcode?: number }).errcode ?? 0;

/** SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY. */
const isUniqueViolation = (error: unknown): boolean => [2067, 1555].includes(errcode(error));

/** SQLITE_IOERR_FSYNC: after it nobody knows what is on the disk, and a second fsync that succeeds proves nothing. */
const isFailedSync = (error: unknown): boolean => errcode(error) === 1034;

port.postMessage({ kind: "ready" });
