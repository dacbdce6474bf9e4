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
  "pragma synchronous = full; pragma cache_size = -32000; pragma temp_store = memory; pragma wal_autocheckpoint = 8000; pragma journal_size_limit = 67108864",
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

/** A statement's text, prepared when it is first run. */
interface Text {
  readonly text: string;
  prepared: Prepared | null;
}

/** By their number on the wire. */
let texts: Text[] = [];
let preparedTexts: Text[] = [];

/** Set once the disk failed in a COMMIT: what it holds is not known any more, so nothing is written until a restart has read it. */
let broken: WireError | null = null;

interface PlanToWrite {
  statements: { text: Text; expect: number; rows: SqlValue[][] }[];
  events: [stream: string, type: string, task: string | null, run: string | null, session: string | null, data: string][];
}

/** Plans that wait for a transaction, in their order. */
let waiting: PlanToWrite[] = [];
let isClosing = false;

port.on("message", (first: ToWriter) => {
  take(first);
  // What came in during a transaction goes into the next one: this is what makes a group.
  while (waiting.length > 0) {
    const size = groupSize();
    const group = waiting.slice(0, size);
    waiting = waiting.slice(size);
    port.postMessage({ kind: "answers", answers: writeGroup(group) });
    for (let message = nextMessage(); message; message = nextMessage()) take(message);
  }
  if (!isClosing) return;
  db.close();
  mark.close();
  port.close();
});

const nextMessage = (): ToWriter | undefined => receiveMessageOnPort(port)?.message as ToWriter | undefined;

function take(message: ToWriter): void {
  if (message.kind === "close") {
    isClosing = true;
    return;
  }
  // Plans that wait hold their texts themselves.
  if (message.forget) texts = [];
  for (const text of message.texts) texts.push({ text, prepared: null });
  unpack(message.plans, waiting);
}

/** How long a plan and a COMMIT took lately, ms. */
let planMs = 0.05;
let commitMs = 0.1;
const slowCommitMs = 0.7;
const groupMs = 3;

/**
 * Where a COMMIT is slow, everything that waits goes into one. Where it is fast, groups are small: whoever waits for the first of them
 * goes on while the next is written, so that both threads are at work.
 */
const groupSize = (): number => (commitMs > slowCommitMs ? maxPlansInTransaction : Math.max(8, Math.ceil(groupMs / planMs)));

/** Remembers how long it took, the newest for a fifth. */
function measure(began: number, planned: number, committed: number, plans: number): void {
  planMs += ((planned - began) / plans - planMs) / 5;
  commitMs += (committed - planned - commitMs) / 5;
}

/** The plans of one message, behind those that are there. */
function unpack({ shape, values }: WirePlans, plans: PlanToWrite[]): void {
  let [place, value] = [0, 0];
  const cells = (count: number): SqlValue[] => values.slice(value, (value += count));
  while (place < shape.length) {
    const [statementCount = 0, eventCount = 0] = [shape[place], shape[place + 1]];
    place += 2;
    const statements = Array.from({ length: statementCount }, () => {
      const [text = 0, expect = 0, runs = 0, width = 0] = shape.slice(place, (place += 4));
      const known = texts[text];
      if (!known) throw new Error(`statement ${text} was never sent`);
      return { text: known, expect, rows: Array.from({ length: runs }, () => cells(width)) };
    });
    plans.push({ statements, events: Array.from({ length: eventCount }, () => cells(6) as PlanToWrite["events"][number]) });
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
  const began = performance.now();
  for (const plan of plans) {
    const answer = tryPlan(plan, heads);
    together.push(answer);
    if (Array.isArray(answer)) continue;
    db.exec("rollback");
    return plans.length === 1 ? together : writeApart(plans);
  }
  const planned = performance.now();
  finish(heads);
  measure(began, planned, performance.now(), plans.length);
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
function run(text: Text, rows: SqlValue[][]): number {
  const { statement, returnsRows } = text.prepared ?? prepare(text);
  let touched = 0;
  for (const values of rows) touched += returnsRows ? statement.all(...values).length : Number(statement.run(...values).changes);
  return touched;
}

function prepare(text: Text): Prepared {
  if (preparedTexts.length >= maxPrepared) {
    for (const old of preparedTexts) old.prepared = null;
    preparedTexts = [];
  }
  const statement = db.prepare(text.text);
  text.prepared = { statement, returnsRows: statement.columns().length > 0 };
  preparedTexts.push(text);
  return text.prepared;
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
