import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { emptyHead, type Head, nextHead, sha256 } from "./chain.ts";
import { makeCrashCounter } from "./crash.ts";
import { makeClock, type ToWriter, toWireError, type WireAnswer, type WireError, type WirePlan, type WriterStart } from "./sqlite-wire.ts";

/**
 * The thread that owns the only writing connection, so that no fsync ever blocks the server. All plans that wait become one
 * transaction, one savepoint each, with nothing asynchronous between begin and commit; answers leave after COMMIT.
 */
const start = workerData as WriterStart;
const port = parentPort as MessagePort;
const now = makeClock(start.clockOffset);
const crash = makeCrashCounter(start.crashAt);
const maxPlansInTransaction = 1000;
const maxPrepared = 1000;

const db = new DatabaseSync(start.file, { timeout: 5000 });
db.exec("pragma synchronous = full; pragma cache_size = -16000; pragma journal_size_limit = 67108864");
db.function("tutti_now", () => now());

const begin = db.prepare("begin immediate");
const commit = db.prepare("commit");
const savepoint = db.prepare("savepoint plan");
const release = db.prepare("release plan");
const backToSavepoint = db.prepare("rollback to plan");
const readHead = db.prepare("select seq, head from streams where id = ?");
const saveHead = db.prepare(
  "insert into streams (id, seq, head) values (?, ?, ?) on conflict (id) do update set seq = excluded.seq, head = excluded.head",
);
const insertEvent = db.prepare(
  "insert into events (stream, seq, type, at, task, run, session, data, payload_hash, hash) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
);

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

port.on("message", (first: ToWriter) => {
  const plans: WirePlan[] = [];
  // What came in during the last transaction is taken at once: this is what makes a group.
  for (let message: ToWriter | undefined = first; message; message = nextMessage()) {
    if (message.kind === "close") {
      writeAll(plans);
      db.close();
      port.close();
      return;
    }
    if (message.forget) {
      // The plans so far still mean the old numbers.
      writeAll(plans.splice(0));
      texts = [];
      forgetPrepared();
    }
    for (const text of message.texts) texts.push(text);
    for (const plan of message.plans) plans.push(plan);
    if (plans.length >= maxPlansInTransaction) break;
  }
  writeAll(plans);
});

const nextMessage = (): ToWriter | undefined => receiveMessageOnPort(port)?.message as ToWriter | undefined;

function writeAll(plans: WirePlan[]): void {
  if (plans.length > 0) port.postMessage({ kind: "answers", answers: writeGroup(plans) });
}

/** When a whole transaction is lost to an error, its plans run again one by one, so that only the guilty one fails. */
function writeGroup(plans: WirePlan[]): WireAnswer[] {
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

function writeTransaction(plans: WirePlan[]): WireAnswer[] {
  const heads = new Map<string, Head>();
  const answers = plans.map((plan) => writePlan(plan, heads));
  if (!answers.some((answer) => Array.isArray(answer))) {
    db.exec("rollback");
    return answers;
  }
  for (const [stream, { seq, head }] of heads) saveHead.run(stream, seq, head);
  crash.begin();
  crash.check("before");
  commit.run();
  crash.check("after");
  return answers;
}

/** One plan in its savepoint. Throws only when the transaction around it is gone. */
function writePlan(plan: WirePlan, heads: Map<string, Head>): WireAnswer {
  savepoint.run();
  const answer = tryPlan(plan, heads);
  if (!Array.isArray(answer)) backToSavepoint.run();
  release.run();
  return answer;
}

function tryPlan(plan: WirePlan, heads: Map<string, Head>): WireAnswer {
  for (const [index, number] of plan.statements.entries()) {
    try {
      const expected = plan.expects[index];
      const touched = run(number, plan.values[index] ?? []);
      if (expected !== -1 && touched !== expected) return index;
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

/** Rows touched, or returned when the statement returns any columns. */
function run(number: number, values: WirePlan["values"][number]): number {
  const { statement, returnsRows } = prepare(number);
  return returnsRows ? statement.all(...values).length : Number(statement.run(...values).changes);
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
function appendEvents(plan: WirePlan, heads: Map<string, Head>): number[] {
  const at = now();
  if (plan.events.length === 0) return [at];
  const moved = new Map<string, Head>();
  const seqs = plan.events.map(([stream, type, task, run, session, data]) => {
    const before = moved.get(stream) ?? heads.get(stream) ?? (readHead.get(stream) as Head | undefined) ?? emptyHead;
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
