import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { AppError, toAppError } from "../errors.ts";
import { acceptPlan, type AcceptedPlan, closedError, makeQueueBound, onlyRow, storedEvents } from "./accept.ts";
import { makeCache } from "./cache.ts";
import { compareSqlite, sqliteMark, whenSound } from "./compare-high-water.ts";
import { copyBeforeMigration } from "./copy-before.ts";
import { type Counters, makeCounters } from "./counters.ts";
import type { CrashPoint } from "./crash.ts";
import { damagedError, describeLoss, type MarkOptions } from "./high-water.ts";
import { makeCommitListeners } from "./listeners.ts";
import { migrateSqlite } from "./migrate.ts";
import { tellIfFull } from "./space.ts";
import { type Committed, type Db, type Plan, type Reader, render, type SqlValue, sql, statement } from "./plan.ts";
import {
  type FromWriter,
  makeClock,
  type ToWriter,
  type WireAnswer,
  type WireError,
  type WirePlans,
  type WriterStart,
} from "./sqlite-wire.ts";

interface SqliteOptions extends MarkOptions {
  file: string;
  /** Moves `tutti_now()` and `now()` by the double at its start, in ms; for tests. */
  clockOffset?: SharedArrayBuffer;
  crashAt?: CrashPoint | null;
  onFull?: () => void;
  /** Plans that may wait or be under way at once; more are refused with AppError busy. */
  maxQueue?: number;
}

interface Pending {
  plan: AcceptedPlan;
  promise: Promise<Committed>;
  resolve(answer: Committed): void;
  reject(error: unknown): void;
}

const oldestSafe = [3, 51, 3];
const maxTexts = 2000;

/** Throws AppError failed for a SQLite before 3.51.3: its WAL can corrupt a store while it is checkpointed. */
export function refuseUnsafeSqlite(version: string): void {
  const numbers = version.split(".").map(Number);
  const differs = oldestSafe.findIndex((wanted, index) => (numbers[index] ?? 0) !== wanted);
  if (differs === -1 || (numbers[differs] ?? 0) > (oldestSafe[differs] ?? 0)) return;
  throw new AppError("failed", `this Node carries SQLite ${version}, which can damage the store`, {
    why: "SQLite before 3.51.3 has a fault in its write-ahead log",
    fix: ["use Node 24.21 or later"],
  });
}

/**
 * Opens (and makes, and migrates) the SQLite store of one server. The process must own the file: see `lockHome`.
 * Throws AppError failed for an unsafe SQLite, conflict for a store that a newer server changed, and damaged for one that has lost
 * something since it was marked (high-water.ts).
 */
export async function openSqlite(options: SqliteOptions): Promise<Db> {
  refuseUnsafeSqlite(process.versions["sqlite"] ?? "0");
  compareWithMark(options);
  prepareFile(options.file);
  const writer = await startWriter(options);
  const reading = openReader(options.file, makeClock(options.clockOffset));
  const listeners = makeCommitListeners();
  const bound = makeQueueBound(options.maxQueue);
  let closing: Promise<void> | null = null;

  async function write(plan: Plan): Promise<Committed> {
    if (plan.statements.length + plan.events.length === 0) return { kind: "committed", events: [] };
    const accepted = acceptPlan(plan, "sqlite");
    bound.enter(accepted.bytes);
    try {
      return await writer.write(accepted);
    } catch (error) {
      return tellIfFull(error, options.onFull);
    } finally {
      bound.leave(accepted.bytes);
    }
  }

  const counters = makeCounters({ smallest: 2, largest: 1024 }, (counter, size) => reserveNumbers(reading.read, write, counter, size));
  writer.onEvents((events) => listeners.tellEvents(events));

  async function finish(): Promise<void> {
    await writer.idle();
    // A gap in the numbers is all that a failure costs here (a full disk); the store closes all the same.
    await giveBack(counters, write).catch(() => undefined);
    reading.close();
    await writer.close();
  }

  return {
    kind: "sqlite",
    read: reading.read,
    async commit(plan) {
      if (closing) throw closedError();
      return write(plan);
    },
    onCommit: (listener) => listeners.add(listener),
    async nextNumber(counter) {
      if (closing) throw closedError();
      return counters.take(counter);
    },
    now: async () => reading.now(),
    close: () => (closing ??= finish()),
  };
}

function compareWithMark({ file, tell, acceptLoss }: SqliteOptions): void {
  const { loss, notes } = compareSqlite(file);
  for (const note of notes) tell?.(note);
  if (loss && !acceptLoss) throw damagedError(describeLoss(loss));
  if (loss) acceptLoss?.(loss);
}

/** The file readable by its owner only (its WAL inherits that), in WAL mode and with the newest schema. */
function prepareFile(file: string): void {
  if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
  const db = new DatabaseSync(file, { timeout: 5000 });
  try {
    whenSound(() => db.exec("pragma journal_mode = wal; pragma synchronous = full"));
    copyBeforeMigration(file, db);
    migrateSqlite(db);
  } finally {
    db.close();
  }
}

function openReader(file: string, now: () => number): { read: Reader; now: () => number; close(): void } {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  db.exec("pragma cache_size = -16000");
  db.function("tutti_now", () => now());
  const prepare = makeCache(500, (text: string) => prepareRows(db, text));
  async function all<Row>(wanted: Parameters<Reader["all"]>[0]): Promise<Row[]> {
    if (!db.isOpen) throw closedError();
    const { text, values } = render(wanted, "sqlite");
    return prepare(text)(values) as Row[];
  }
  return {
    read: { all, one: async <Row>(wanted: Parameters<Reader["one"]>[0]) => onlyRow(await all<Row>(wanted)) },
    now,
    close: () => db.close(),
  };
}

/** Rows as plain objects, made from arrays: the driver's own have no prototype, are slow to make, and slow to read. */
function prepareRows(db: DatabaseSync, text: string): (values: SqlValue[]) => object[] {
  const statement = db.prepare(text);
  statement.setReturnArrays(true);
  const names = statement.columns().map(({ name }) => name);
  return (values) =>
    (statement.all(...values) as unknown as SqlValue[][]).map((cells) => {
      const row: Record<string, SqlValue> = {};
      for (let index = 0; index < names.length; index += 1) row[names[index] ?? ""] = cells[index] ?? null;
      return row;
    });
}

/** Takes a block in the database; the condition holds always, as this process is the only writer. */
async function reserveNumbers(read: Reader, write: (plan: Plan) => Promise<Committed>, counter: string, size: number): Promise<number> {
  const row = await read.one<{ next: number }>(sql`select next from counters where name = ${counter}`);
  const first = row?.next ?? 1;
  const reserve = sql`insert into counters (name, next) values (${counter}, ${first + size})
    on conflict (name) do update set next = excluded.next where counters.next = ${first}`;
  const { kind } = await write({ statements: [statement(reserve)], events: [] });
  if (kind === "conflict") throw new Error(`somebody else moved the counter ${counter}`);
  return first;
}

/** Numbers that were reserved and never taken come back, so that a clean stop leaves no gap. */
async function giveBack(counters: Counters, write: (plan: Plan) => Promise<Committed>): Promise<void> {
  const unused = await counters.unused();
  const statements = unused.map(({ counter, next, end }) =>
    statement(sql`update counters set next = ${next} where name = ${counter} and next = ${end}`),
  );
  await write({ statements, events: [] });
}

interface Writer {
  write(plan: AcceptedPlan): Promise<Committed>;
  onEvents(listener: (events: Extract<Committed, { kind: "committed" }>["events"]) => void): void;
  /** When everything accepted so far is answered. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/** The main thread's side of the writer: gathers the plans of one turn of the event loop, sends them, hands answers out in order. */
async function startWriter(options: SqliteOptions): Promise<Writer> {
  const start: WriterStart = {
    file: options.file,
    clockOffset: options.clockOffset ?? null,
    crashAt: options.crashAt ?? null,
    highWater: sqliteMark(options.file),
  };
  const worker = new Worker(new URL("./sqlite-writer.ts", import.meta.url), { workerData: start, name: "tutti store" });
  const exited = new Promise<void>((resolve) => void worker.once("exit", () => resolve()));
  await whenReady(worker);
  let collected: Pending[] = [];
  let sent: Pending[] = [];
  let tellEvents: Parameters<Writer["onEvents"]>[0] = () => undefined;
  let died: AppError | null = null;
  const send = makeSender(worker);

  function flush(): void {
    const batch = collected;
    collected = [];
    sent = sent.length === 0 ? batch : sent.concat(batch);
    send(batch.map(({ plan }) => plan));
  }

  function takeAnswers(answers: WireAnswer[]): void {
    const answered = sent.slice(0, answers.length);
    sent = sent.slice(answers.length);
    if (sent.length + collected.length === 0) worker.unref();
    const results = answers.map((answer, index) => settle(answered[index], answer));
    tellEvents(results.flat());
  }

  function fail(cause: unknown): void {
    died ??= writerDied(cause);
    for (const pending of [...sent, ...collected.splice(0)]) pending.reject(died);
    sent = [];
  }

  worker.on("message", (message: FromWriter) => {
    if (message.kind === "answers") takeAnswers(message.answers);
  });
  worker.on("error", fail);
  worker.on("exit", () => fail(new Error("the writer's thread has ended")));
  // An idle store keeps no process alive; a plan under way does. (After the listeners: adding one holds the process again.)
  worker.unref();

  return {
    async write(plan) {
      if (died) throw died;
      const pending: Pending = { plan, ...Promise.withResolvers<Committed>() };
      if (sent.length + collected.length === 0) worker.ref();
      if (collected.push(pending) === 1) setImmediate(flush);
      return pending.promise;
    },
    onEvents: (listener) => void (tellEvents = listener),
    async idle() {
      await Promise.allSettled([...sent, ...collected].map(({ promise }) => promise));
    },
    async close() {
      worker.ref();
      worker.postMessage({ kind: "close" } satisfies ToWriter);
      await exited;
    },
  };
}

function whenReady(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("message", () => {
      worker.off("error", reject);
      resolve();
    });
    worker.once("error", reject);
  });
}

/** Each distinct text of a statement crosses over once; afterwards it is a number. */
function makeSender(worker: Worker): (plans: AcceptedPlan[]) => void {
  let numbers = new Map<string, number>();
  return (plans) => {
    const message: Extract<ToWriter, { kind: "write" }> = {
      kind: "write",
      forget: numbers.size > maxTexts,
      texts: [],
      plans: { shape: [], values: [] },
    };
    if (message.forget) numbers = new Map();
    const numberOf = (text: string): number => {
      const known = numbers.get(text);
      if (known !== undefined) return known;
      numbers.set(text, numbers.size);
      message.texts.push(text);
      return numbers.size - 1;
    };
    for (const plan of plans) addToWire(message.plans, plan, numberOf);
    worker.postMessage(message);
  };
}

function addToWire({ shape, values }: WirePlans, { statements, events }: AcceptedPlan, numberOf: (text: string) => number): void {
  shape.push(statements.length, events.length);
  for (const { text, expect, rows } of statements) {
    shape.push(numberOf(text), expect === "any" ? -1 : expect, rows.length, rows[0]?.length ?? 0);
    for (const row of rows) for (const value of row) values.push(value);
  }
  for (const { event, data } of events) {
    values.push(event.stream, event.type, event.task ?? null, event.run ?? null, event.session ?? null, data);
  }
}

/** Tells one caller; answers the events that were stored. */
function settle(pending: Pending | undefined, answer: WireAnswer): Extract<Committed, { kind: "committed" }>["events"] {
  if (!pending) throw new Error("the writer answered a plan that nobody sent");
  if (typeof answer === "number") pending.resolve({ kind: "conflict", statement: answer });
  else if (!Array.isArray(answer)) pending.reject(fromWireError(answer));
  else {
    const [at = 0, ...seqs] = answer;
    const events = storedEvents(pending.plan, seqs, at);
    pending.resolve({ kind: "committed", events });
    return events;
  }
  return [];
}

const sqliteBusy = 5;
const sqliteFull = 13;

function fromWireError(wire: WireError): unknown {
  const error = Object.assign(new Error(wire.message), { code: wire.code, errcode: wire.errcode });
  if (wire.stack) error.stack = wire.stack;
  if (wire.isUnknown) {
    return new AppError("unreachable", "the disk failed while the store was written", {
      why: `whether this change was stored is not known, and nothing more is written until a restart has read the store (${wire.message})`,
      fix: ["check the disk and its cables or volume", "tutti down", "tutti up"],
      retryable: false,
      cause: error,
    });
  }
  const primary = (wire.errcode ?? 0) % 256;
  if (primary === sqliteFull) return toAppError(error);
  if (primary !== sqliteBusy) return error;
  return new AppError("busy", "the store is held by another program", {
    why: "a program other than this server has the database file open and locked",
    fix: ["close it, then try again"],
    cause: error,
  });
}

const writerDied = (cause: unknown): AppError =>
  new AppError("unreachable", "the store's writer has stopped", {
    why: "whether the last changes were stored is not known; a restart will tell",
    fix: ["tutti down", "tutti up"],
    retryable: false,
    cause,
  });
