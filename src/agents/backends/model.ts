import { randomUUID } from "node:crypto";
import type { ModelMessage } from "ai";
import { isDemo } from "../../models/demo.ts";
import { instructions } from "../../models/instructions.ts";
import type { AgentSettings, Detection } from "../agent.ts";
import type { AgentBackend, AgentConnection, AgentEvent, Outcome, SessionSpec } from "../backend.ts";
import type { Reply, ToolCall } from "./model-call.ts";
import { howToSet, modelsOf, type ChosenModel } from "./model-choice.ts";
import { askModels, beginAgain, makeRotation, type Rotation } from "./model-failover.ts";
import { makeHistory, type History } from "./model-history.ts";
import { makeLeave, type Leave } from "./model-leave.ts";
import { makeTally } from "./model-usage.ts";
import { startTools, type ToolClient, type ToolResult } from "./tools/client.ts";
import { isToolName, toolDeclarations } from "./tools/tool.ts";

/** The limits of one turn. Times in ms. */
export interface ModelLimits {
  /** Model calls in one turn. */
  calls: number;
  /** A stream that says nothing for so long is cut. */
  silenceMs: number;
  /** How often one call is made at most, with what is mended by itself: limits, overload, broken streams. */
  tries: number;
  /** The first pause between two tries; it doubles. */
  pauseMs: number;
  /** The longest wait that a turn takes upon itself; a provider that wants a longer one ends the turn as limited. */
  longestPauseMs: number;
}

const usualLimits: ModelLimits = { calls: 60, silenceMs: 120_000, tries: 5, pauseMs: 500, longestPauseMs: 20_000 };

/**
 * The in-process agent: a tool loop over models of any provider (through the broker, in the provider's own protocol) or the demo
 * model; its tools stand in the session's sandbox. When one provider cannot answer, the agent's next one goes on.
 */
export function makeModelBackend(changed: Partial<ModelLimits> = {}): AgentBackend {
  const limits = { ...usualLimits, ...changed };
  return {
    kind: "model",
    detect: async (agent, environment) => detectProvider(agent.settings, environment.providers),
    open: (spec, signal) => open(spec, limits, signal),
  };
}

export const modelBackend: AgentBackend = makeModelBackend();

/** Without its provider an agent cannot be used; without a fallback it can, and it is told. */
function detectProvider({ provider, fallbacks = [] }: AgentSettings, known: string[]): Detection {
  const program = { version: null, path: null };
  if (isDemo(provider)) return { state: "ready", ...program, message: "the built-in demo model", fix: null };
  if (!provider || !known.includes(provider)) {
    const message = provider ? `the provider "${provider}" is not set up` : "the agent names no provider";
    return { state: "not found", ...program, message, fix: howToSet(provider) };
  }
  const missing = fallbacks.find((fallback) => !known.includes(fallback.provider))?.provider;
  const models = `models of ${[provider, ...fallbacks.map((fallback) => fallback.provider)].join(", then of ")}`;
  return missing === undefined
    ? { state: "ready", ...program, message: models, fix: null }
    : { state: "ready", ...program, message: `${models}; "${missing}" is not set up`, fix: howToSet(missing) };
}

async function open(spec: SessionSpec, limits: ModelLimits, signal: AbortSignal): Promise<AgentConnection> {
  signal.throwIfAborted();
  const rotation = makeRotation(await modelsOf(spec));
  const tools = await startTools(spec);
  if (signal.aborted) {
    await tools.close();
    signal.throwIfAborted();
  }
  const closing = new AbortController();
  const leave = makeLeave(spec.permissions);
  // A program's own memory of the conversation does not outlive it: what was said before is given to the model as messages.
  const history = makeHistory<ChosenModel>();
  for (const { prompt, output } of spec.past) {
    history.add({ role: "user", content: prompt }, { role: "assistant", content: output === "" ? "(no answer)" : output });
  }
  const session: Session = { spec, rotation, tools, leave, limits, history };
  return {
    abilities: { resume: false, permissions: true, usage: true },
    prompt: (text, turnSignal) => takeTurn(session, text, AbortSignal.any([turnSignal, closing.signal])),
    answer: (permission, option) => leave.answer(permission, option),
    async close() {
      closing.abort();
      await tools.close();
    },
  };
}

interface Session {
  spec: SessionSpec;
  rotation: Rotation;
  tools: ToolClient;
  leave: Leave;
  limits: ModelLimits;
  /** Everything that was said, kept for the connection; only whole steps enter it. */
  history: History<ChosenModel>;
}

/** One turn. The last event is always an outcome, whatever happens; a cancelled turn says so, and nothing else. */
async function* takeTurn(session: Session, text: string, signal: AbortSignal): AsyncGenerator<AgentEvent> {
  const tally = makeTally({ isChoice: session.rotation.models.length > 1 });
  let outcome: Outcome;
  try {
    outcome = yield* converse(session, text, { signal, tally });
  } catch (error) {
    outcome = signal.aborted ? { kind: "cancelled" } : brokenTurn(error);
  }
  if (signal.aborted) outcome = { kind: "cancelled" };
  const note = tally.note();
  if (note) yield { kind: "thought", text: note };
  const usage = tally.usage();
  if (usage) yield { kind: "usage", usage };
  yield { kind: "outcome", outcome };
}

const brokenTurn = (error: unknown): Outcome => ({
  kind: "failed",
  cause: "process",
  message: error instanceof Error ? error.message : String(error),
  retryable: true,
});

interface Turn {
  signal: AbortSignal;
  tally: ReturnType<typeof makeTally>;
}

/** Ask, do what the model wants done, ask again with the results, until it wants nothing more. */
async function* converse(session: Session, text: string, turn: Turn): AsyncGenerator<AgentEvent, Outcome> {
  const { spec, history, limits, rotation } = session;
  history.add({ role: "user", content: text });
  beginAgain(rotation);
  for (let call = 1; call <= limits.calls; call += 1) {
    const asked = yield* askModels({
      rotation,
      history,
      // Never to be seen in a message.
      secrets: spec.broker ? [spec.broker.token] : [],
      instructions: instructions(spec.cwd),
      limits,
      silenceMs: limits.silenceMs,
      signal: turn.signal,
    });
    if (asked.kind === "end") return asked.outcome;
    turn.tally.add(asked.usage, asked.by);
    if (asked.calls.length === 0) {
      history.addBy(asked.by, asked.message);
      return asked.text === "" && call === 1 ? emptyAnswer : { kind: "done", output: asked.text };
    }
    const results = yield* runTools(session, asked, turn.signal);
    // Together or not at all: a call without its result would make every later request invalid.
    history.addBy(asked.by, asked.message, results);
  }
  return {
    kind: "failed",
    cause: "model",
    message: `the turn was stopped after ${limits.calls} model calls without an end`,
    retryable: false,
  };
}

const emptyAnswer: Outcome = { kind: "failed", cause: "model", message: "the model answered nothing at all", retryable: true };

async function* runTools(session: Session, { calls }: Reply, signal: AbortSignal): AsyncGenerator<AgentEvent, ModelMessage> {
  const content: Extract<ModelMessage, { role: "tool" }>["content"] = [];
  for (const call of calls) {
    yield { kind: "tool", id: call.id, name: call.name, state: "started", input: call.input, output: null };
    const result = yield* runTool(session, call, signal);
    yield { kind: "tool", id: call.id, name: call.name, state: result.ok ? "done" : "failed", input: call.input, output: result.output };
    content.push({
      type: "tool-result",
      toolCallId: call.id,
      toolName: call.name,
      output: { type: result.ok ? "text" : "error-text", value: result.output },
    });
  }
  return { role: "tool", content };
}

/** Whatever goes wrong is the model's to read: it can try another way. */
async function* runTool(session: Session, call: ToolCall, signal: AbortSignal): AsyncGenerator<AgentEvent, ToolResult> {
  if (call.problem) return { ok: false, output: call.problem };
  if (!isToolName(call.name)) return { ok: false, output: `there is no tool "${call.name}"` };
  if (toolDeclarations[call.name].asks && session.leave.mustAsk(call.name)) {
    const id = randomUUID();
    const answered = session.leave.ask(id, call.name, signal);
    yield { kind: "permission", id, tool: call.name, action: call.input, options: session.leave.options(call.name) };
    if (!(await answered))
      return {
        ok: false,
        output: "This was refused by the person in charge. Do not try it again; go on without it or say what is missing.",
      };
  }
  return await session.tools.call(call.name, call.input, signal);
}
