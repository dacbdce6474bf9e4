import type { Logger } from "pino";
import type { Db, NewEvent, Plan } from "../db/plan.ts";
import { AppError } from "../errors.ts";
import { compose } from "./compose.ts";
import { Notice, preview, type Delivery } from "./notification.ts";
import type { Outbound } from "./outbound.ts";
import { post, type Answer } from "./post.ts";
import { readKept } from "./secrets.ts";
import {
  claimDelivery,
  disableChannel,
  endDeliveries,
  findChannel,
  findDue,
  giveBack,
  settleDelivery,
  type ChannelRow,
  type DeliveryRow,
} from "./store.ts";

/**
 * One attempt at one delivery: claimed under a lease, sent, settled. At least once: who is killed between sending and settling leaves
 * a lease that lapses, and the delivery is sent again with the same id.
 */
export interface DeliverOptions {
  db: Db;
  outbound: Outbound;
  home: string;
  now(): number;
  log: Pick<Logger, "warn" | "error">;
  /** For resolving the name, the request and its answer together. */
  timeLimitMs?: number;
}

const usualTimeLimitMs = 10_000;
/** More than an attempt can take. */
export const leaseMs = 15_000;
/** After the first, second ... attempt that failed; behind the last of them it has failed for good. */
export const retryAfterMs = [5_000, 30_000, 120_000, 600_000, 3_600_000];
/** What needs a secret that lies on another server is left to that one for so long. */
const othersFirstMs = 60_000;

/** Sends the next delivery of a channel that is due. Answers false when there is none. Ends early, without a trace, when `signal` aborts. */
export async function deliverNext(options: DeliverOptions, name: string, signal: AbortSignal): Promise<boolean> {
  const { db, home } = options;
  const channel = await findChannel(db.read, name);
  if (channel?.enabled !== 1) return false;
  const isHere = channel.key_name === null || (await readKept(home, channel.key_name)) !== null;
  const due = await findDue(db.read, name, isHere ? 0 : othersFirstMs);
  if (!due || signal.aborted) return false;
  const claimed = await db.commit({ statements: [claimDelivery(due, leaseMs)], events: [] });
  // Another server has it.
  if (claimed.kind === "conflict") return true;
  const attempt = { id: due.id, attempt: due.attempts + 1 };
  const answer = await send(channel, { id: due.id, notice: Notice.parse(JSON.parse(due.payload)), test: false }, options, signal);
  if (signal.aborted && answer.kind === "unreachable") {
    await db.commit({ statements: [giveBack(attempt)], events: [] });
    return false;
  }
  await settle(options, channel, { ...due, attempts: attempt.attempt }, answer);
  return true;
}

/** Checks where it goes, and sends. Never rejects for anything that a receiver, a name or a missing secret can be guilty of. */
export async function send(
  channel: ChannelRow,
  letter: { id: string; notice: Notice; test: boolean },
  { outbound, home, now, timeLimitMs = usualTimeLimitMs }: Pick<DeliverOptions, "outbound" | "home" | "now" | "timeLimitMs">,
  signal?: AbortSignal,
): Promise<Answer> {
  const time = AbortSignal.timeout(timeLimitMs);
  const limit = signal ? AbortSignal.any([signal, time]) : time;
  try {
    // Also now, and not only when it was set: what a name means changes.
    const target = await outbound.check(channel.url, limit);
    const secret = channel.key_name === null ? null : await readKept(home, channel.key_name);
    if (channel.key_name !== null && secret === null) return { kind: "unreachable", why: "its secret is not on this server: set it again" };
    const outgoing = compose({ kind: channel.kind, url: target.url }, secret, {
      ...letter,
      link: outbound.url + letter.notice.path,
      at: now(),
    });
    return withoutSecret(await post(target, outgoing, limit), secret);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { kind: "unreachable", why: error.why === null ? error.message : `${error.message}: ${error.why}` };
  }
}

/** A receiver may repeat what it was sent. */
function withoutSecret(answer: Answer, secret: string | null): Answer {
  if (answer.kind !== "answered") return answer;
  const said = preview(answer.said, 4096);
  return { ...answer, said: secret === null ? said : said.replaceAll(secret, "[secret]") };
}

interface Judged {
  state: Delivery["state"];
  waitMs: number;
  message: string;
  /** The receiver wants nothing any more. */
  gone: boolean;
}

/** What an answer means for a delivery, by the status codes of Standard Webhooks ("Delivery success and failure"). Pure. */
export function judge(answer: Answer, attempt: number): Judged {
  const message = messageOf(answer);
  const over = (state: "sent" | "failed", gone = false): Judged => ({ state, waitMs: 0, message, gone });
  if (answer.kind === "answered" && answer.status >= 200 && answer.status < 300) return over("sent");
  if (answer.kind === "answered" && answer.status === 410) return over("failed", true);
  const waitMs = retryAfterMs[attempt - 1];
  return waitMs === undefined ? over("failed") : { state: "queued", waitMs, message, gone: false };
}

export function messageOf(answer: Answer): string {
  if (answer.kind === "unreachable") return preview(answer.why, 300);
  const { status, said } = answer;
  if (status >= 300 && status < 400) return `HTTP ${status}: a redirect is not followed`;
  return preview(said === "" ? `HTTP ${status}` : `HTTP ${status}: ${said}`, 300);
}

async function settle({ db, log }: DeliverOptions, channel: ChannelRow, delivery: DeliveryRow, answer: Answer): Promise<void> {
  const judged = judge(answer, delivery.attempts);
  const plan: Plan = { statements: [settleDelivery({ id: delivery.id, attempt: delivery.attempts }, judged)], events: [] };
  if (judged.state !== "queued") plan.events.push(settledEvent(channel.name, delivery, judged));
  if (judged.state === "failed") log.warn({ channel: channel.name, delivery: delivery.id, message: judged.message }, "not delivered");
  // In conflict: its lease lapsed, and whoever has it now settles it.
  const settled = await db.commit(plan);
  if (settled.kind === "committed" && judged.gone) await disable(db, channel, delivery.id);
}

const goneMessage = "the receiver answered 410 Gone: it wants no more notifications";

/** In conflict: a person was faster, and what they said stands. */
async function disable(db: Db, { name }: ChannelRow, delivery: string): Promise<void> {
  const event: NewEvent = { stream: "instance", type: "channel.updated", data: { name, enabled: false, why: goneMessage } };
  await db.commit({ statements: [disableChannel(name, goneMessage), ...endDeliveries(name, goneMessage, delivery)], events: [event] });
}

const settledEvent = (channel: string, { id, attempts }: DeliveryRow, { state, message }: Judged): NewEvent => ({
  stream: "instance",
  type: "delivery.settled",
  data: { delivery: id, channel, state, attempts, message },
});
