import { z } from "zod";
import type { AgentEvent, Outcome, Usage } from "../backend.ts";
import { errorSaidAsText, outcomeOfModelError } from "./program-error.ts";

/** Translates what an ACP program tells into Tutti's events. Tolerant: programs differ, and what is not understood is left out. */

const mostOutput = 64 * 1024;
const mostAnswer = 1024 * 1024;

const ToolContent = z.object({ content: z.object({ text: z.string() }).optional(), path: z.string().optional() });

const ToolUpdate = z.object({
  toolCallId: z.string(),
  title: z.string().nullish(),
  name: z.string().nullish(),
  kind: z.string().nullish(),
  status: z.string().nullish(),
  rawInput: z.unknown().optional(),
  rawOutput: z.unknown().optional(),
  locations: z.unknown().optional(),
  content: z.array(z.unknown()).nullish(),
  _meta: z
    .object({ goose: z.object({ toolCall: z.object({ toolName: z.string() }) }).optional() })
    .nullish()
    .catch(null),
});
type ToolUpdate = z.infer<typeof ToolUpdate>;

const Update = z.discriminatedUnion("sessionUpdate", [
  z.object({ sessionUpdate: z.literal("agent_message_chunk"), content: z.object({ text: z.string() }) }),
  z.object({ sessionUpdate: z.literal("agent_thought_chunk"), content: z.object({ text: z.string() }) }),
  ToolUpdate.extend({ sessionUpdate: z.literal("tool_call") }),
  ToolUpdate.extend({ sessionUpdate: z.literal("tool_call_update") }),
  z.object({ sessionUpdate: z.literal("usage_update"), cost: z.object({ amount: z.number(), currency: z.string() }).nullish() }),
]);

export const SessionUpdate = z.object({ update: Update });

/** A `session/update` notification's parameters, when they say something that is of use. */
export function readUpdate(params: unknown): z.infer<typeof Update> | null {
  const parsed = SessionUpdate.safeParse(params);
  return parsed.success ? parsed.data.update : null;
}

interface Tool {
  name: string;
  input: unknown;
  state: "started" | "done" | "failed";
}

/** What one turn has said so far. */
export class Telling {
  readonly #tools = new Map<string, Tool>();
  #answer = "";
  #lastAnswer = "";
  #anything = false;

  /** The events that an update stands for: none, one, or two (a call that is first heard of when it has ended). */
  events(update: NonNullable<ReturnType<typeof readUpdate>>): AgentEvent[] {
    switch (update.sessionUpdate) {
      case "agent_message_chunk":
        this.#say(update.content.text);
        return update.content.text === "" ? [] : [{ kind: "text", text: update.content.text }];
      case "agent_thought_chunk":
        return update.content.text === "" ? [] : [{ kind: "thought", text: update.content.text }];
      case "tool_call":
      case "tool_call_update":
        return this.tool(update);
      case "usage_update":
        return [];
    }
  }

  /**
   * Merged by id. "started" comes at once and again when the input has become another (some programs send it empty first);
   * after the end of a call nothing more comes of it.
   */
  tool(update: ToolUpdate): AgentEvent[] {
    this.#anything = true;
    const id = update.toolCallId;
    const before = this.#tools.get(id);
    if (before && before.state !== "started") return [];
    if (!before) this.#turnThePage();
    const state = update.status === "completed" ? "done" : update.status === "failed" ? "failed" : "started";
    // The first name stays: later titles tell what is done, or are written by a model.
    const name = before?.name ?? toolName(update);
    const tool: Tool = { name, input: inputOf(update) ?? before?.input ?? null, state };
    this.#tools.set(id, tool);
    const event = (of: Tool["state"], output: string | null): AgentEvent => ({
      kind: "tool",
      id,
      name,
      state: of,
      input: tool.input,
      output,
    });
    const isNews = !before || JSON.stringify(before.input) !== JSON.stringify(tool.input);
    return [...(isNews ? [event("started", null)] : []), ...(state === "started" ? [] : [event(state, outputOf(update))])];
  }

  /** A permission request names its call; some programs tell of the call only there. */
  asked(toolCall: unknown): AgentEvent[] {
    const parsed = ToolUpdate.safeParse(toolCall);
    return parsed.success ? this.tool({ ...parsed.data, status: "pending" }) : [];
  }

  nameOf(id: string): string | null {
    return this.#tools.get(id)?.name ?? null;
  }

  inputOf(id: string): unknown {
    return this.#tools.get(id)?.input ?? null;
  }

  #say(text: string): void {
    if (text !== "") this.#anything = true;
    this.#answer = (this.#answer + text).slice(-mostAnswer);
  }

  /** What is said before a tool is used is no answer yet, unless nothing follows. */
  #turnThePage(): void {
    if (this.#answer.trim() !== "") this.#lastAnswer = this.#answer;
    this.#answer = "";
  }

  /** How a turn ended that the program itself calls ended. `now` in ms. */
  outcome(stopReason: string, now: number): Outcome {
    const output = (this.#answer.trim() === "" ? this.#lastAnswer : this.#answer).trim();
    const failed = (message: string, retryable: boolean): Outcome => ({ kind: "failed", cause: "model", message, retryable });
    switch (stopReason) {
      case "end_turn": {
        const error = errorSaidAsText(output, this.#tools.size === 0);
        if (error !== null) return outcomeOfModelError(error, now);
        return this.#anything ? { kind: "done", output } : failed("it ended its turn without a word and without doing anything", true);
      }
      case "max_tokens":
        return failed("the answer was cut off at the model's limit of output tokens", false);
      case "max_turn_requests":
        return failed("it stopped at its limit of model requests in a turn", true);
      case "refusal":
        return failed(output === "" ? "the model refused" : `the model refused: ${output.slice(0, 500)}`, false);
      case "cancelled":
        return failed("it gave up its turn by itself, though nobody had cancelled it", false);
      default:
        return {
          kind: "failed",
          cause: "protocol",
          message: `it ended its turn for an unknown reason: ${stopReason.slice(0, 100)}`,
          retryable: false,
        };
    }
  }
}

const toolName = ({ name, _meta, title, kind }: ToolUpdate): string =>
  (name ?? _meta?.goose?.toolCall.toolName ?? title ?? kind ?? "tool").slice(0, 200);

/** An empty object is how some programs say "not known yet". */
function inputOf({ rawInput }: ToolUpdate): unknown {
  const isEmpty = typeof rawInput === "object" && rawInput !== null && Object.keys(rawInput).length === 0;
  return rawInput === undefined || rawInput === null || isEmpty ? null : rawInput;
}

function outputOf({ content, rawOutput }: ToolUpdate): string | null {
  const texts = (content ?? []).flatMap((part) => {
    const parsed = ToolContent.safeParse(part);
    if (!parsed.success) return [];
    return parsed.data.content?.text ?? (parsed.data.path ? `changed ${parsed.data.path}` : []);
  });
  const text = texts.length > 0 ? texts.join("\n") : rawText(rawOutput);
  return text === null || text.length <= mostOutput ? text : `${text.slice(0, mostOutput)}\n[cut]`;
}

function rawText(rawOutput: unknown): string | null {
  if (rawOutput === undefined || rawOutput === null) return null;
  if (typeof rawOutput === "string") return rawOutput;
  const { output } = rawOutput as { output?: unknown };
  return typeof output === "string" ? output : JSON.stringify(rawOutput);
}

const Count = z.number().int().nonnegative().catch(0);
const TurnUsage = z.object({
  usage: z.object({ inputTokens: z.number().int().nonnegative(), outputTokens: Count, cachedReadTokens: Count.optional() }),
});

/** The counts that a prompt's answer carries, if it does. They are the program's own: some count only the last model call. */
export function usageIn(response: unknown, model: string | null, costUsd: number | null): Usage | null {
  const parsed = TurnUsage.safeParse(response);
  if (!parsed.success) return null;
  const { inputTokens, outputTokens, cachedReadTokens = 0 } = parsed.data.usage;
  return { model, inputTokens, outputTokens, cachedTokens: cachedReadTokens, costUsd };
}
