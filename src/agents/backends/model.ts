import { randomUUID } from "node:crypto";
import type { LanguageModel, ModelMessage } from "ai";
import { AppError } from "../../errors.ts";
import { demoModel, demoModelName, isDemo } from "../../models/demo.ts";
import { instructions } from "../../models/instructions.ts";
import type { Detection } from "../agent.ts";
import type { AgentBackend, AgentConnection, AgentEvent, Outcome, SessionSpec } from "../backend.ts";
import { askModel, type Reply, type ToolCall } from "./model-call.ts";
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

/** The in-process agent: a tool loop over any OpenAI-compatible provider (through the broker) or the demo model; its tools stand in the session's sandbox. */
export function makeModelBackend(changed: Partial<ModelLimits> = {}): AgentBackend {
  const limits = { ...usualLimits, ...changed };
  return {
    kind: "model",
    detect: async (agent, environment) => detectProvider(agent.settings.provider, environment.providers),
    open: (spec, signal) => open(spec, limits, signal),
  };
}

export const modelBackend: AgentBackend = makeModelBackend();

function detectProvider(provider: string | undefined, known: string[]): Detection {
  if (provider && (isDemo(provider) || known.includes(provider))) {
    return {
      state: "ready",
      version: null,
      path: null,
      message: isDemo(provider) ? "the built-in demo model" : `models of ${provider}`,
      fix: null,
    };
  }
  const message = provider ? `the provider "${provider}" is not set up` : "the agent names no provider";
  return {
    state: "not found",
    version: null,
    path: null,
    message,
    fix: `tutti providers set ${provider ?? "<name>"} --base-url <url> --model <name>`,
  };
}

async function open(spec: SessionSpec, limits: ModelLimits, signal: AbortSignal): Promise<AgentConnection> {
  signal.throwIfAborted();
  const model = await modelOf(spec);
  const tools = await startTools(spec);
  if (signal.aborted) {
    await tools.close();
    signal.throwIfAborted();
  }
  const closing = new AbortController();
  const leave = makeLeave(spec.permissions);
  // A program's own memory of the conversation does not outlive it: what was said before is given to the model as messages.
  const messages: ModelMessage[] = spec.past.flatMap(({ prompt, output }): ModelMessage[] => [
    { role: "user", content: prompt },
    { role: "assistant", content: output === "" ? "(no answer)" : output },
  ]);
  const session: Session = { spec, model, tools, leave, limits, messages };
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

interface ChosenModel {
  name: string;
  languageModel: LanguageModel;
  /** The demo model costs nothing; of others only the provider knows, and says it to nobody. */
  costUsd: number | null;
  /** Never to be seen in a message. */
  secrets: string[];
}

// The SDK takes 100 ms and 30 MB to load: only sessions that need it pay for it.
async function modelOf({ agent, broker }: SessionSpec): Promise<ChosenModel> {
  if (isDemo(agent.settings.provider)) return { name: demoModelName, languageModel: demoModel(), costUsd: 0, secrets: [] };
  if (!broker) {
    throw new AppError("agent_unavailable", `agent ${agent.name} has no provider to ask`, {
      why: agent.settings.provider ? `the provider "${agent.settings.provider}" is not set up` : "its settings name no provider",
      fix: [`tutti providers set ${agent.settings.provider ?? "<name>"} --base-url <url> --model <name>`],
    });
  }
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
  const provider = createOpenAICompatible({ name: "broker", baseURL: `${broker.url}/v1`, apiKey: broker.token, includeUsage: true });
  return { name: broker.model, languageModel: provider.chatModel(broker.model), costUsd: null, secrets: [broker.token] };
}

interface Session {
  spec: SessionSpec;
  model: ChosenModel;
  tools: ToolClient;
  leave: Leave;
  limits: ModelLimits;
  /** Everything that was said, kept for the connection; only whole steps enter it. */
  messages: ModelMessage[];
}

/** One turn. The last event is always an outcome, whatever happens; a cancelled turn says so, and nothing else. */
async function* takeTurn(session: Session, text: string, signal: AbortSignal): AsyncGenerator<AgentEvent> {
  const tally = makeTally(session.model.name, session.model.costUsd);
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
  const { messages, limits, model } = session;
  messages.push({ role: "user", content: text });
  for (let call = 1; call <= limits.calls; call += 1) {
    const asked = yield* askModel({
      model: model.languageModel,
      secrets: model.secrets,
      instructions: instructions(session.spec.cwd),
      messages,
      limits,
      signal: turn.signal,
    });
    turn.tally.add(asked.usage);
    if (asked.kind === "end") return asked.outcome;
    if (asked.calls.length === 0) {
      messages.push(asked.message);
      return asked.text === "" && call === 1 ? emptyAnswer : { kind: "done", output: asked.text };
    }
    const results = yield* runTools(session, asked, turn.signal);
    // Together or not at all: a call without its result would make every later request invalid.
    messages.push(asked.message, results);
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
