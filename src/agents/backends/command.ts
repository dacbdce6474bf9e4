import type { AgentBackend, AgentConnection, AgentEvent, Outcome, PastTurn, SessionSpec } from "../backend.ts";
import { runTurn, type CommandEnd, type CommandLimits } from "./command-turn.ts";
import { detectProgram } from "./detect-program.ts";
import { commandWayOf, launchOf } from "./launch.ts";
import { withPast } from "./past.ts";
import { none, since, type Counts } from "./streams/told.ts";
import { Turn } from "./turn.ts";

/**
 * Any command line program, started once for each turn: it is given the prompt, and what it prints is its answer. It cannot ask. One
 * with a preset tells what it does while it does it, and goes on with its conversation by itself; to one without a preset, what
 * was said before is given along.
 */
export function makeCommandBackend(changed: Partial<CommandLimits> = {}): AgentBackend {
  const limits = { silenceMs: 600_000, killGraceMs: 500, ...changed };
  return { kind: "command", detect: detectProgram, open: (spec, signal) => open(spec, limits, signal) };
}

export const commandBackend: AgentBackend = makeCommandBackend();

async function open(spec: SessionSpec, limits: CommandLimits, signal: AbortSignal): Promise<AgentConnection> {
  signal.throwIfAborted();
  // Asked for its refusals: a program that is missing is found out now, not in the first turn.
  launchOf(spec);
  return new Conversation(spec, limits);
}

/** A program for each turn, and what goes from one to the next. */
class Conversation implements AgentConnection {
  readonly abilities: AgentConnection["abilities"];
  readonly #spec: SessionSpec;
  readonly #limits: CommandLimits;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly #past: PastTurn[];
  /** The program's own id of the conversation; null: it has none yet, or remembers nothing. */
  #vendorSession: string | null;
  /** What the conversation took before this turn, of a program that tells sums; null: not known. */
  #before: Counts | null;

  constructor(spec: SessionSpec, limits: CommandLimits) {
    const way = commandWayOf(spec.agent);
    this.abilities = { resume: way !== null, permissions: false, usage: way?.usage ?? false };
    this.#spec = spec;
    this.#limits = limits;
    this.#past = [...spec.past];
    this.#vendorSession = way ? spec.vendorSession : null;
    this.#before = this.#vendorSession === null ? none : null;
  }

  async *prompt(text: string, signal: AbortSignal): AsyncGenerator<AgentEvent> {
    const turn = new Turn();
    const left = new AbortController();
    const done = this.#take(turn, text, AbortSignal.any([signal, this.#closing.signal, left.signal]));
    this.#running.add(done);
    try {
      yield* turn.read();
    } finally {
      left.abort();
      const outcome = await done;
      this.#running.delete(done);
      if (outcome.kind === "done") this.#past.push({ prompt: text, output: outcome.output });
    }
  }

  answer(): void {
    // It has asked nothing.
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  /** Never rejects. */
  async #take(turn: Turn, text: string, signal: AbortSignal): Promise<Outcome> {
    const outcome: Outcome = signal.aborted ? { kind: "cancelled" } : await this.#run(turn, text, signal);
    turn.end(outcome);
    return outcome;
  }

  async #run(turn: Turn, text: string, signal: AbortSignal): Promise<Outcome> {
    const resume = this.#vendorSession;
    const common = { spec: this.#spec, limits: this.#limits, turn, signal };
    const anew = async (): Promise<CommandEnd> => await runTurn({ ...common, prompt: withPast(this.#past, text), resume: null });
    let end = resume === null ? await anew() : await runTurn({ ...common, prompt: text, resume });
    if (end.hasForgotten) {
      this.#vendorSession = null;
      this.#before = none;
      end = await anew();
    }
    this.#keep(turn, end);
    return end.outcome;
  }

  /** What the program has told of itself, for the next turn and for the one who pays. */
  #keep(turn: Turn, { told }: CommandEnd): void {
    if (!told) return;
    this.#vendorSession = told.vendorSession ?? this.#vendorSession;
    const { usage } = told;
    if (!usage) return;
    const counts = commandWayOf(this.#spec.agent)?.usageIsSum ? since(this.#before, usage) : usage;
    this.#before = usage;
    const { broker, agent } = this.#spec;
    if (counts) turn.push({ kind: "usage", usage: { model: broker?.model ?? agent.settings.model ?? null, ...counts } });
  }
}
