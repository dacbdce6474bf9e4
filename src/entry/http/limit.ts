import { usualDoorLimits, type DoorLimits, type Rate } from "../../config.ts";
import { AppError } from "../../errors.ts";
import type { Actor } from "../../registry.ts";

/**
 * Everything behind the door is bounded: how fast one token may ask, how many requests are in work at once (and how many of them
 * are one token's), how many streams one token has open. What does not fit is told so with a Retry-After; nothing waits in a queue.
 */
export interface Limits {
  /** A request comes in, before anything of it is looked at. Throws AppError busy. */
  enter(): Visit;
  /** Tokens that are remembered; those that are idle are forgotten. */
  remembered(): number;
}

export interface Visit {
  /** Whose it is. Throws AppError rate_limited or busy. */
  admit(actor: Actor): void;
  /** It becomes a stream, which may last for days and is no work any more. Throws AppError rate_limited. */
  follow(): void;
  /** It waits for others (a mount's own protocol): bounded by the connections alone. */
  rest(): void;
  /** Harmless twice. */
  leave(): void;
}

/** What one token has in use. Full again and unused, it is as good as none. */
interface Use {
  /** When its bucket is full again, ms. */
  fullAt: number;
  inWork: number;
  streams: number;
}

/** Streams end seldom: who has too many need not ask again at once. */
const streamWaitMs = 5_000;
const busyWaitMs = 1_000;
const mostRemembered = 10_000;

/**
 * The token bucket as the generic cell rate algorithm (ITU-T I.371): all of its state is when it will be full again. Each request
 * moves that by the time of one; further away than the whole bucket is refused. `waitMs` 0: admitted.
 */
export function admit(fullAt: number, now: number, { perSecond, burst }: Rate): { fullAt: number; waitMs: number } {
  const each = 1_000 / perSecond;
  const next = Math.max(fullAt, now) + each;
  const waitMs = Math.max(0, next - now - burst * each);
  return waitMs > 0 ? { fullAt, waitMs } : { fullAt: next, waitMs };
}

export function makeLimits(limits: DoorLimits = usualDoorLimits, now: () => number = () => performance.now()): Limits {
  const uses = new Map<string, Use>();
  /** One token alone must not shut everybody else out. */
  const share = Math.ceil(limits.requests / 2);
  let inWork = 0;
  let forgotten = 0;

  function useOf(token: string): Use {
    const known = uses.get(token);
    if (known) return known;
    if (uses.size >= mostRemembered) forgetIdle();
    const use: Use = { fullAt: 0, inWork: 0, streams: 0 };
    uses.set(token, use);
    return use;
  }

  /** At most once a second, or a crowd of new tokens would cost a walk through all of them each. */
  function forgetIdle(): void {
    const at = now();
    if (at - forgotten < 1_000) return;
    forgotten = at;
    for (const [token, { fullAt, inWork: own, streams }] of uses) if (fullAt <= at && own === 0 && streams === 0) uses.delete(token);
  }

  return {
    remembered: () => uses.size,
    enter() {
      if (inWork >= limits.requests) throw full(`the server has ${limits.requests} requests in work, as many as it takes`);
      inWork += 1;
      let use: Use | null = null;
      let counted: "work" | "stream" | null = "work";
      const leave = (): void => {
        if (counted === "work") {
          inWork -= 1;
          if (use) use.inWork -= 1;
        } else if (counted === "stream" && use) use.streams -= 1;
        counted = null;
      };
      return {
        admit(actor) {
          const own = useOf(actor.token);
          const rate = actor.kind === "agent" ? limits.agent : limits.person;
          const { fullAt, waitMs } = admit(own.fullAt, now(), rate);
          if (waitMs > 0) throw tooFast(rate, waitMs);
          if (own.inWork >= share) throw full(`this token has ${share} requests in work, as many as one may have`);
          own.fullAt = fullAt;
          own.inWork += 1;
          use = own;
        },
        follow() {
          if (use && use.streams >= limits.streams) throw tooManyStreams(limits.streams);
          leave();
          counted = "stream";
          if (use) use.streams += 1;
        },
        rest: leave,
        leave,
      };
    },
  };
}

const full = (message: string): AppError =>
  new AppError("busy", message, { why: "nothing of the request was done", fix: ["send it again in a moment"], retryAfterMs: busyWaitMs });

const tooFast = ({ perSecond }: Rate, waitMs: number): AppError =>
  new AppError("rate_limited", `this token may send ${perSecond} requests a second`, {
    why: "nothing of the request was done",
    fix: ["wait as long as Retry-After says", "follow events instead of asking again and again"],
    retryAfterMs: waitMs,
  });

const tooManyStreams = (streams: number): AppError =>
  new AppError("rate_limited", `this token has ${streams} streams open, as many as one may have`, {
    fix: ["close one of them", "take one stream for all: `live.follow`"],
    retryAfterMs: streamWaitMs,
  });
