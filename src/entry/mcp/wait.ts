import type { ServerContext } from "@modelcontextprotocol/server";
import { z } from "zod";
import { invalidInput } from "../../errors.ts";
import { ask, follow, type Actor, type Query, type Stream, type StreamItem } from "../../registry.ts";
import type { Services } from "../../services.ts";
import { isTerminal, State } from "../../tasks/task.ts";

/**
 * A tool answers once, so whatever goes on is bounded: a wait ends with what it waited for or after its seconds, and a stream
 * is taken in pieces. Clients give up after 60 seconds by default, hence 50. Nothing here looks again and again: events wake.
 */
const maxSeconds = 50;

interface Waiting {
  caller: { actor: Actor; services: Services };
  input: Record<string, unknown>;
  context: ServerContext;
  /** Aborts when the server closes, the caller is gone or its token is over. */
  signal: AbortSignal;
}

interface WaitOptions extends Waiting {
  noun: "task" | "run";
  events: Stream;
  get: Query;
}

const WaitInput = z.strictObject({ id: z.string(), seconds: z.number().min(0).max(maxSeconds).default(maxSeconds) });

/** What is looked at of a task or run. */
const Standing = z.looseObject({ project: z.string(), state: State, reason: z.string().nullable() });

/** `over`: it has ended or needs a person. Each change on the way is told as progress when the caller wants that. */
export async function waitFor({ noun, events, get, caller, input, context, signal }: WaitOptions): Promise<{ over: boolean }> {
  const { id, seconds } = parse(WaitInput, input);
  const look = async () => Standing.parse(await ask(get, caller, { id }));
  const isOver = ({ state }: z.infer<typeof Standing>): boolean => isTerminal(state) || state === "needs you";
  let now = await look();
  const until = AbortSignal.any([signal, context.mcpReq.signal, AbortSignal.timeout(seconds * 1_000)]);
  if (!isOver(now)) {
    // The first item says that the following has begun: what happened up to then is seen by looking once more.
    for await (const item of await follow(events, caller, { stream: now.project }, null, until)) {
      if (item.event === "event" && !isAbout(item, noun, id)) continue;
      now = await look();
      if (isOver(now)) break;
      await tellProgress(context, now.reason === null ? now.state : `${now.state}: ${now.reason}`);
    }
    // Time is over, or it was read just now.
    if (!isOver(now)) now = await look();
  }
  return { over: isOver(now), [noun]: now };
}

const isAbout = ({ data }: StreamItem, noun: "task" | "run", id: string): boolean => (data as Record<string, unknown>)[noun] === id;

const toldSoFar = new WeakMap<ServerContext, number>();

/** Says to a caller that gave a progress token how it goes; its numbers only grow. */
async function tellProgress(context: ServerContext, message: string): Promise<void> {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  const progress = (toldSoFar.get(context) ?? 0) + 1;
  toldSoFar.set(context, progress);
  await context.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, message } });
}

const StreamInput = z.object({
  after: z.string().optional(),
  seconds: z.number().min(0).max(maxSeconds).default(10),
  limit: z.int().min(1).max(200).default(50),
});

/** What comes within this after the first item belongs to the same answer. */
const quietMs = 150;

interface Taken {
  items: { event: string; data: unknown }[];
  /** Give it as `after` to go on behind these. */
  after: string | null;
  /** There will be no more. */
  ended: boolean;
}

/** A piece of a stream, as a tool: numbered items only (hints such as live text are stored a moment later and come then). */
export const takeFromStream = {
  properties: {
    after: { type: "string", description: "where the answer before this one ended" },
    seconds: { type: "number", minimum: 0, maximum: maxSeconds, default: 10 },
    limit: { type: "integer", minimum: 1, maximum: 200, default: 50 },
  },
  async run({ entry, caller, input, context, signal }: Waiting & { entry: Stream }): Promise<Taken> {
    const { after: from, seconds, limit, ...rest } = parse(StreamInput.loose(), input);
    const enough = new AbortController();
    const until = AbortSignal.any([signal, context.mcpReq.signal, AbortSignal.timeout(seconds * 1_000), enough.signal]);
    const taken: Taken = { items: [], after: from ?? null, ended: false };
    let quiet: NodeJS.Timeout | undefined;
    try {
      for await (const { id, event, data } of await follow(entry, caller, rest, from ?? null, until)) {
        if (id === undefined) continue;
        taken.after = id;
        if (event === "ready") continue;
        taken.items.push({ event, data });
        clearTimeout(quiet);
        quiet = setTimeout(() => enough.abort(), quietMs);
        if (taken.items.length === limit) break;
      }
      taken.ended = !until.aborted && taken.items.length < limit;
    } finally {
      clearTimeout(quiet);
      enough.abort();
    }
    return taken;
  },
};

/** Throws AppError invalid_input. */
function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "input"}: ${issue.message}`);
  throw invalidInput(problems[0] ?? "the input does not fit", problems.join("; "));
}
