import { randomUUID } from "node:crypto";
import {
  client,
  methods,
  RequestError,
  type ClientConnection,
  type InitializeRequest,
  type RequestPermissionRequest,
  type RequestPermissionResponse,
} from "@agentclientprotocol/sdk";
import { AppError } from "../../errors.ts";
import type { Exit, RunningProcess } from "../../processes/process.ts";
import { version } from "../../version.ts";
import type { AgentBackend, AgentConnection, AgentEvent, Outcome, SessionSpec } from "../backend.ts";
import { readUpdate, Telling, usageIn } from "./acp-events.ts";
import { acpStream, BrokenProtocol } from "./acp-stream.ts";
import { freePort, startCompanion } from "./companion.ts";
import { detectProgram } from "./detect-program.ts";
import { writeHomeFiles } from "./home-files.ts";
import { keepLastWords, withoutSecrets, type LastWords } from "./last-words.ts";
import { acpWayOf, launchOf } from "./launch.ts";
import { withPast } from "./past.ts";
import type { AcpWay } from "./presets/preset.ts";
import { presetNamed } from "./presets/table.ts";
import { outcomeOfModelError } from "./program-error.ts";
import { Turn } from "./turn.ts";

/**
 * Any program that speaks the Agent Client Protocol (version 1) on its stdin and stdout. Neither file system nor terminal is offered
 * to it: programs misuse the one and none uses the other, and the program works in the session's own clone anyway.
 */
export interface AcpLimits {
  /** From the start to the answer to `initialize`, and to a session. */
  startMs: number;
  /** A turn in which nothing is heard for so long ends; not while a person is asked. */
  silenceMs: number;
  /** A program that was told to cancel is killed after this time. */
  cancelMs: number;
  /** How long its end is waited for after its output has ended. */
  exitMs: number;
  /** The longest message in bytes. */
  lineLimit: number;
}

const usualLimits: AcpLimits = { startMs: 60_000, silenceMs: 600_000, cancelMs: 5000, exitMs: 2000, lineLimit: 16 * 1024 * 1024 };
const protocolVersion = 1;
const greeting = (meta: Record<string, unknown> | undefined): InitializeRequest => ({
  protocolVersion,
  clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false, ...(meta ? { _meta: meta } : {}) },
  clientInfo: { name: "tutti", title: "Tutti", version },
});

export function makeAcpBackend(changed: Partial<AcpLimits> = {}): AgentBackend {
  const limits = { ...usualLimits, ...changed };
  return {
    kind: "acp",
    detect: detectProgram,
    open: (spec, signal) => open(spec, limits, signal),
  };
}

export const acpBackend: AgentBackend = makeAcpBackend();

async function open(spec: SessionSpec, limits: AcpLimits, signal: AbortSignal): Promise<AgentConnection> {
  signal.throwIfAborted();
  const launch = launchOf(spec, { port: await freePort() });
  await writeHomeFiles(spec.home, launch.files);
  const companion = launch.companion && (await startCompanion(spec, launch.companion, launch.env, signal));
  try {
    const started = spec.start({ argv: launch.argv, env: launch.env, stdin: "pipe", readable: [] });
    return await beginWith(new Program(spec, { started, companion }, limits), signal);
  } catch (error) {
    await companion?.stop({ graceMs: 0 });
    throw error;
  }
}

async function beginWith(program: Program, signal: AbortSignal): Promise<AgentConnection> {
  try {
    await program.begin(signal);
    return program;
  } catch (error) {
    await program.close();
    signal.throwIfAborted();
    throw await program.unavailable(error);
  }
}

/** One started program with its one conversation. */
class Program implements AgentConnection {
  readonly #spec: SessionSpec;
  readonly #process: RunningProcess;
  /** What was started beside it, and ends with it. */
  readonly #companion: RunningProcess | null;
  readonly #limits: AcpLimits;
  readonly #way: AcpWay | null;
  readonly #connection: ClientConnection;
  readonly #lastWords: LastWords;
  readonly #secrets: string[];
  #exit: Exit | null = null;
  #closing: Promise<void> | null = null;
  #session = "";
  #canResume = false;
  #hasUsage: boolean;
  /** What the program must be told first, because it does not remember it. */
  #untold: SessionSpec["past"] = [];
  /** The conversation's cost so far in US dollars; null until it is known. Programs report sums. */
  #cost: number | null = null;
  #costBefore: number | null = null;
  #running: RunningTurn | null = null;

  constructor(spec: SessionSpec, { started, companion }: { started: RunningProcess; companion: RunningProcess | null }, limits: AcpLimits) {
    this.#spec = spec;
    this.#process = started;
    this.#companion = companion;
    this.#limits = limits;
    this.#way = acpWayOf(spec.agent);
    this.#hasUsage = this.#way?.usage ?? false;
    this.#secrets = spec.broker ? [spec.broker.token] : [];
    this.#lastWords = keepLastWords(started.stderr, this.#secrets);
    void started.exited.then((exit) => (this.#exit = exit));
    if (!started.stdin) throw new AppError("agent_unavailable", `agent ${spec.agent.name} was started without an input`);
    const stream = acpStream({
      stdin: started.stdin,
      stdout: started.stdout,
      lineLimit: limits.lineLimit,
      onMessage: (message) => this.#hear(message),
      room: async () => this.#running?.turn.room(),
    });
    this.#connection = client({ name: "tutti" })
      .onRequest(methods.client.session.requestPermission, ({ params }) => this.#ask(params))
      .connect(stream);
  }

  get abilities(): AgentConnection["abilities"] {
    return { resume: this.#canResume, permissions: this.#way?.asks ?? true, usage: this.#hasUsage };
  }

  /** initialize, then a session: the old one where it can be had, else a new one that is told the past with its first prompt. */
  async begin(signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#limits.startMs)]);
    const { agent } = this.#connection;
    const answer = await before(limit, agent.request<"initialize">(methods.agent.initialize, greeting(this.#way?.clientMeta)));
    if (answer.protocolVersion !== protocolVersion) {
      throw new BrokenProtocol(
        `it speaks version ${JSON.stringify(answer.protocolVersion)} of the protocol, and Tutti speaks ${protocolVersion}`,
      );
    }
    const { loadSession = false, sessionCapabilities } = answer.agentCapabilities ?? {};
    const resumes = Boolean(sessionCapabilities?.resume);
    this.#canResume = resumes || loadSession;
    // One says that it can resume, and only loads.
    if (resumes && (await this.#goOn(limit, methods.agent.session.resume))) return;
    if (loadSession && (await this.#goOn(limit, methods.agent.session.load))) return;
    const made = await before(limit, agent.request(methods.agent.session.new, { cwd: this.#spec.cwd, mcpServers: [] }));
    this.#session = made.sessionId;
    this.#cost ??= 0;
    this.#untold = this.#spec.past;
  }

  async #goOn(limit: AbortSignal, method: "session/resume" | "session/load"): Promise<boolean> {
    const { vendorSession, cwd } = this.#spec;
    if (vendorSession === null) return false;
    try {
      await before(limit, this.#connection.agent.request(method, { sessionId: vendorSession, cwd, mcpServers: [] }));
      this.#session = vendorSession;
      return true;
    } catch (error) {
      // It has forgotten the session: a new one does as well.
      if (error instanceof RequestError) return false;
      throw error;
    }
  }

  async *prompt(text: string, signal: AbortSignal): AsyncGenerator<AgentEvent> {
    if (this.#running) {
      yield {
        kind: "outcome",
        outcome: { kind: "failed", cause: "protocol", message: "another turn of this session is running", retryable: true },
      };
      return;
    }
    const running = new RunningTurn(this.#limits, () => this.#kill());
    this.#running = running;
    const done = this.#take(running, text, signal);
    try {
      yield* running.turn.read();
    } finally {
      // A reader that leaves early has no more interest in the turn.
      if (!running.turn.ended) this.#interrupt(running, "cancel");
      await done;
    }
  }

  answer(permission: string, option: string | null): void {
    this.#running?.answer(permission, option);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (this.#running) this.#running.interruption ??= "cancel";
    this.#connection.close();
    // Many programs do not end when their input does.
    await Promise.all([this.#process.stop({ graceMs: 1000 }), this.#companion?.stop({ graceMs: 1000 })]);
  }

  async #kill(): Promise<void> {
    await Promise.all([this.#process.stop({ graceMs: 0 }), this.#companion?.stop({ graceMs: 0 })]);
  }

  // ---- one turn ----

  /** Never rejects. */
  async #take(running: RunningTurn, text: string, signal: AbortSignal): Promise<void> {
    const cancel = (): void => this.#interrupt(running, "cancel");
    signal.addEventListener("abort", cancel, { once: true });
    running.watch(() => this.#interrupt(running, "silence"));
    try {
      running.turn.push({ kind: "session", vendorSession: this.#session });
      const outcome = signal.aborted ? cancelled : await this.#converse(running, text);
      // Whoever is told that it is over finds no process any more.
      if (this.#connection.signal.aborted) await this.#kill();
      running.turn.end(hideSecrets(outcome, this.#secrets));
    } finally {
      signal.removeEventListener("abort", cancel);
      running.stop();
      this.#running = null;
    }
  }

  async #converse(running: RunningTurn, text: string): Promise<Outcome> {
    this.#costBefore = this.#cost;
    const prompt = withPast(this.#untold, text);
    try {
      const answer = this.#connection.agent.request(methods.agent.session.prompt, {
        sessionId: this.#session,
        prompt: [{ type: "text", text: prompt }],
      });
      // When the race is lost nobody looks at it any more.
      answer.catch(() => undefined);
      const response = await Promise.race([answer, running.killed]);
      if (response) {
        this.#untold = [];
        this.#reportUsage(running, response);
      }
      const failure = response && this.#way?.failureIn?.(response);
      return (
        this.#interrupted(running) ??
        (failure ? outcomeOfModelError(failure, Date.now()) : null) ??
        running.telling.outcome(response?.stopReason ?? "(none given)", Date.now())
      );
    } catch (error) {
      return this.#interrupted(running) ?? (await this.#outcomeOf(error));
    }
  }

  /** What we ended ourselves is called so, whatever the program answered: some call a cancelled turn ended. */
  #interrupted({ interruption }: RunningTurn): Outcome | null {
    if (interruption === "cancel") return cancelled;
    if (interruption !== "silence") return null;
    const minutes = Math.round(this.#limits.silenceMs / 6000) / 10;
    return { kind: "failed", cause: "time", message: `nothing was heard from the program for ${minutes} minutes`, retryable: true };
  }

  #interrupt(running: RunningTurn, why: "cancel" | "silence"): void {
    if (running.interruption || running.turn.ended) return;
    running.interrupt(why);
    // The answer to the prompt tells when it is over; a program that cannot be told any more is found dead.
    this.#connection.agent.notify(methods.agent.session.cancel, { sessionId: this.#session }).catch(() => this.#kill());
  }

  async #outcomeOf(error: unknown): Promise<Outcome> {
    if (this.#connection.signal.aborted) return this.#death();
    if (!(error instanceof RequestError)) return { kind: "failed", cause: "protocol", message: messageOf(error), retryable: false };
    const message = wordsOf(error);
    if (error.code === authRequired) return { kind: "failed", cause: "model", message: `it wants a login: ${message}`, retryable: false };
    if (error.code >= -32_602 && error.code <= -32_600) {
      return { kind: "failed", cause: "protocol", message: `it does not understand the prompt: ${message}`, retryable: false };
    }
    return outcomeOfModelError(message, Date.now());
  }

  /** The program is gone, or its output is of no use any more: then it is ended. */
  async #death(): Promise<Outcome> {
    await within(this.#process.exited, this.#limits.exitMs);
    const exit = this.#exit;
    const breach = this.#breach();
    if (breach !== null)
      return { kind: "failed", cause: "protocol", message: `the program broke its protocol: ${breach}`, retryable: false };
    const line = await this.#lastWords.line();
    return { kind: "failed", cause: "process", message: `the program ${howItEnded(exit)}${line ? `: ${line}` : ""}`, retryable: true };
  }

  /** What was wrong with what it said, when that is why the connection ended. */
  #breach(): string | null {
    const { reason } = this.#connection.signal;
    return reason instanceof BrokenProtocol || reason instanceof RangeError ? reason.message : null;
  }

  #reportUsage({ turn }: RunningTurn, response: unknown): void {
    const { broker, agent } = this.#spec;
    const cost = this.#cost === null || this.#costBefore === null || this.#cost === this.#costBefore ? null : this.#cost - this.#costBefore;
    const usage = usageIn(response, broker?.model ?? agent.settings.model ?? null, cost);
    if (!usage) return;
    this.#hasUsage = true;
    turn.push({ kind: "usage", usage });
  }

  // ---- what the program says by itself ----

  #hear(message: Record<string, unknown>): boolean {
    this.#running?.heard();
    if (message.method !== methods.client.session.update) return false;
    const update = readUpdate(message.params);
    if (update?.sessionUpdate === "usage_update") {
      if (update.cost?.currency === "USD") this.#cost = update.cost.amount;
    } else if (update && this.#running) {
      // Outside of a turn it is the replay of an old conversation.
      for (const event of this.#running.telling.events(update)) this.#running.turn.push(event);
    }
    return true;
  }

  async #ask({ toolCall, options }: RequestPermissionRequest): Promise<RequestPermissionResponse> {
    const running = this.#running;
    if (!running || running.interruption) return refused;
    const { telling, turn } = running;
    for (const event of telling.asked(toolCall)) turn.push(event);
    const choices = options.map(({ optionId, name, kind }) => ({
      id: optionId,
      label: name,
      allows: kind.startsWith("allow"),
      lasting: kind.endsWith("always"),
    }));
    const byLeast = choices.toSorted((a, b) => Number(a.lasting) - Number(b.lasting));
    const choose = (allows: boolean): RequestPermissionResponse => {
      const found = byLeast.find((choice) => choice.allows === allows);
      return found ? { outcome: { outcome: "selected", optionId: found.id } } : refused;
    };
    if (this.#spec.permissions === "auto") return choose(true);
    const { kind, title, locations, content, rawInput } = toolCall;
    const action = { title, kind, input: rawInput ?? telling.inputOf(toolCall.toolCallId), locations, content };
    const id = randomUUID();
    const answered = running.ask(id);
    turn.push({
      kind: "permission",
      id,
      tool: telling.nameOf(toolCall.toolCallId) ?? "tool",
      action: withoutUndefined(action),
      options: choices,
    });
    const answer = await answered;
    if (answer === "interrupted") return refused;
    const chosen = choices.find((choice) => choice.id === answer.option);
    return chosen ? { outcome: { outcome: "selected", optionId: chosen.id } } : choose(false);
  }

  /** Why it could not be opened, for the person who wants to use it. */
  async unavailable(error: unknown): Promise<AppError> {
    if (error instanceof AppError) return error;
    const { agent } = this.#spec;
    const why = await this.#whyNot(error);
    const isLogin = error instanceof RequestError && error.code === authRequired;
    const signIn = isLogin ? presetNamed(agent.settings.preset)?.signIn : undefined;
    const fix = signIn ? [signIn] : [`tutti agents ${agent.name}`];
    return new AppError("agent_unavailable", `agent ${agent.name} could not be started`, {
      why: withoutSecrets(why, this.#secrets),
      fix,
      cause: error,
    });
  }

  async #whyNot(error: unknown): Promise<string> {
    const breach = error instanceof BrokenProtocol ? error.message : this.#breach();
    if (breach !== null) return breach;
    if (error instanceof RequestError) return wordsOf(error);
    if (error instanceof DOMException && error.name === "TimeoutError") return `it did not answer within ${this.#limits.startMs / 1000} s`;
    await within(this.#process.exited, this.#limits.exitMs);
    const line = await this.#lastWords.line();
    return `the program ${howItEnded(this.#exit)}${line ? `: ${line}` : ""}`;
  }
}

/** The state of the one turn that is under way: who waits for what, and the two watchdogs. */
class RunningTurn {
  readonly turn = new Turn();
  readonly telling = new Telling();
  /** Resolves (with nothing) when the program was killed for this turn. */
  readonly killed: Promise<undefined>;
  interruption: "cancel" | "silence" | null = null;
  readonly #open = new Map<string, (answer: { option: string | null } | "interrupted") => void>();
  readonly #limits: AcpLimits;
  readonly #kill: () => Promise<void>;
  readonly #resolveKilled: () => void;
  #silence: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;

  constructor(limits: AcpLimits, kill: () => Promise<void>) {
    this.#limits = limits;
    this.#kill = kill;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.killed = promise;
    this.#resolveKilled = () => resolve(undefined);
  }

  watch(onSilence: () => void): void {
    this.#silence = setTimeout(() => (this.#open.size > 0 ? this.heard() : onSilence()), this.#limits.silenceMs);
  }

  heard(): void {
    this.#silence?.refresh();
  }

  /** From now on the program has a short time to end the turn by itself. */
  interrupt(why: "cancel" | "silence"): void {
    this.interruption = why;
    this.#release();
    this.#grace = setTimeout(() => void this.#kill().then(this.#resolveKilled), this.#limits.cancelMs);
  }

  ask(id: string): Promise<{ option: string | null } | "interrupted"> {
    const { promise, resolve } = Promise.withResolvers<{ option: string | null } | "interrupted">();
    this.#open.set(id, resolve);
    return promise;
  }

  answer(id: string, option: string | null): void {
    this.#open.get(id)?.({ option });
    this.#open.delete(id);
    this.heard();
  }

  stop(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#grace);
    this.#release();
  }

  #release(): void {
    for (const resolve of this.#open.values()) resolve("interrupted");
    this.#open.clear();
  }
}

const cancelled: Outcome = { kind: "cancelled" };
const refused: RequestPermissionResponse = { outcome: { outcome: "cancelled" } };
const authRequired = -32_000;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Programs put the provider's own words into `data`, if anywhere. */
function wordsOf({ message, data }: RequestError): string {
  const details = typeof data === "string" ? data : (data as { details?: unknown; message?: unknown } | undefined);
  const more = typeof details === "string" ? details : (details?.details ?? details?.message);
  return typeof more === "string" && !message.includes(more) ? `${message}: ${more}` : message;
}

function howItEnded(exit: Exit | null): string {
  if (!exit) return "closed its output";
  return exit.signal ? `was ended by ${exit.signal}` : `ended with code ${exit.code}`;
}

const withoutUndefined = (value: object): object =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined && each !== null));

function hideSecrets(outcome: Outcome, secrets: readonly string[]): Outcome {
  return outcome.kind === "failed" || outcome.kind === "limited"
    ? { ...outcome, message: withoutSecrets(outcome.message, secrets) }
    : outcome;
}

async function within(promise: Promise<unknown>, limitMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** What is promised, or the signal's reason when that comes first. */
async function before<Value>(limit: AbortSignal, promise: Promise<Value>): Promise<Value> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(limit.reason);
  promise.catch(() => undefined);
  limit.addEventListener("abort", stop, { once: true });
  try {
    limit.throwIfAborted();
    return await Promise.race([promise, stopped]);
  } finally {
    limit.removeEventListener("abort", stop);
  }
}
