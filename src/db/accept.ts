import { AppError, invalidInput } from "../errors.ts";
import { canonical } from "../canonical.ts";
import { type NewEvent, type Plan, type RowWrite, type SqlValue, type StoredEvent, render } from "./plan.ts";

const maxEventBytes = 4096;
const defaultMaxQueue = 10_000;
const maxQueuedBytes = 256 * 1024 * 1024;

export interface AcceptedStatement {
  text: string;
  /** One list of values for each time that it runs. */
  rows: SqlValue[][];
  /** Rows touched, over all of them. */
  expect: number | "any";
  /** Set for a write whose rows may run together with those of other plans. */
  write: RowWrite | null;
  isFence: boolean;
}

/** A plan as a database takes it: rendered, its events' data as canonical JSON, checked for what no database may store. */
export interface AcceptedPlan {
  statements: AcceptedStatement[];
  events: { event: NewEvent; data: string }[];
  /** About how much memory its values hold; for the bound of the queue. */
  bytes: number;
}

/** Throws AppError invalid_input for an event whose data is over 4 KB and for text with NUL, which PostgreSQL cannot hold. */
export function acceptPlan(plan: Plan, dialect: "sqlite" | "postgres"): AcceptedPlan {
  let bytes = 0;
  const statements = plan.statements.map((statement): AcceptedStatement => {
    if ("write" in statement) {
      const { write, rows } = statement;
      for (const values of rows) for (const value of values) bytes += sizeOf(value);
      return { text: write.text[dialect], rows, expect: rows.length, write, isFence: false };
    }
    const { text, values } = render(statement.sql, dialect);
    for (const value of values) bytes += sizeOf(value);
    return { text, rows: [values], expect: statement.expect, write: null, isFence: statement.isFence ?? false };
  });
  const events = plan.events.map((event) => {
    const data = canonical(event.data);
    const size = Buffer.byteLength(data);
    if (size > maxEventBytes) {
      throw invalidInput(
        `the data of event ${event.type} is ${size} bytes, at most ${maxEventBytes} are allowed`,
        "events are state changes; large values belong into rows or artifacts",
      );
    }
    bytes += size;
    return { event, data };
  });
  return { statements, events, bytes };
}

function sizeOf(value: SqlValue): number {
  if (typeof value === "string") {
    // The same answer on both databases, so that a test on SQLite finds what PostgreSQL would refuse.
    if (value.includes("\0")) throw invalidInput("a text to be stored contains NUL (U+0000)", "strip or encode it before it is written");
    return value.length;
  }
  if (value instanceof Uint8Array) return value.byteLength;
  if (value === null || Number.isFinite(value)) return 8;
  throw new TypeError(`a value to be stored is neither text, a finite number, bytes nor null: ${String(value)}`);
}

/** Events as they were stored: the numbers that the commit gave them. */
export function storedEvents(plan: AcceptedPlan, seqs: readonly number[], at: number): StoredEvent[] {
  return plan.events.map(({ event }, index) => ({
    stream: event.stream,
    seq: seqs[index] ?? 0,
    type: event.type,
    at,
    task: event.task ?? null,
    run: event.run ?? null,
    session: event.session ?? null,
    data: event.data,
  }));
}

/** Backpressure: how many plans, and how many bytes of them, may wait or be under way at once. */
export interface QueueBound {
  /** Throws AppError busy when it is full. A single plan always fits. */
  enter(bytes: number): void;
  leave(bytes: number): void;
}

export function makeQueueBound(maxPlans: number = defaultMaxQueue): QueueBound {
  let plans = 0;
  let bytes = 0;
  return {
    enter(more) {
      if (plans >= maxPlans || (plans > 0 && bytes + more > maxQueuedBytes)) {
        throw new AppError("busy", "too many changes are waiting to be written", {
          why: `${plans} plans with ${bytes} bytes are waiting for the database`,
          fix: ["try again in a moment"],
        });
      }
      plans += 1;
      bytes += more;
    },
    leave(less) {
      plans -= 1;
      bytes -= less;
    },
  };
}

export const closedError = (): AppError =>
  new AppError("unreachable", "the database is closed", { why: "the server is shutting down", fix: ["start the server again"] });

/** The only row or null; more than one is a bug of the caller. */
export function onlyRow<Row>(rows: Row[]): Row | null {
  if (rows.length > 1) throw new Error(`a query for one row returned ${rows.length}`);
  return rows[0] ?? null;
}
