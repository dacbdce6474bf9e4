import type { Exit } from "../../../processes/process.ts";
import type { AgentEvent, Outcome, Usage } from "../../backend.ts";
import { errorSaidAsText, outcomeOfModelError } from "../program-error.ts";

/** What a program prints of a turn when it is asked for JSON: one object a line. */
export type Line = Readonly<Record<string, unknown>>;

/** Understands one program's lines. What it does not know is left out: programs differ, and versions move. */
export type StreamReader = (line: Line, told: Told) => void;

export type Counts = Pick<Usage, "inputTokens" | "outputTokens" | "cachedTokens" | "costUsd">;

const mostAnswer = 1024 * 1024;
const mostOutput = 64 * 1024;

/**
 * What a command has told of one turn so far. The events go to `emit` as they come; answer, error and token counts are kept until
 * the program's end, because only then it is known which of them is the last word.
 */
export class Told {
  readonly #emit: (event: AgentEvent) => void;
  /** Messages that came in pieces. */
  readonly #inPieces = new Set<string>();
  readonly #tools = new Map<string, { name: string; input: unknown; open: boolean }>();
  #session: string | null = null;
  #answer = "";
  #lastAnswer = "";
  #error: string | null = null;
  #usage: Counts | null = null;
  #anything = false;

  constructor(emit: (event: AgentEvent) => void) {
    this.#emit = emit;
  }

  /** The program's id of the conversation; null until it has said it. */
  get vendorSession(): string | null {
    return this.#session;
  }

  session(id: unknown): void {
    if (typeof id !== "string" || id === "" || id === this.#session) return;
    this.#session = id;
    this.#emit({ kind: "session", vendorSession: id });
  }

  /** A piece of the answer. */
  text(text: string): void {
    if (text === "") return;
    this.#anything = true;
    this.#answer = (this.#answer + text).slice(-mostAnswer);
    this.#emit({ kind: "text", text });
  }

  /** A message that comes whole; two in a row are two paragraphs. */
  message(text: string): void {
    if (text.trim() !== "") this.text(this.#answer === "" ? text : `\n\n${text}`);
  }

  /** A piece of the message with this id, which may come whole once more. */
  piece(message: string, text: string): void {
    if (this.#inPieces.has(message)) return this.text(text);
    this.#inPieces.add(message);
    this.message(text);
  }

  hasPieces(message: string): boolean {
    return this.#inPieces.has(message);
  }

  thought(text: string): void {
    if (text !== "") this.#emit({ kind: "thought", text });
  }

  toolStarted(id: string, name: string, input: unknown): void {
    if (this.#tools.has(id)) return;
    this.#anything = true;
    // What is said before a tool is used is no answer yet, unless nothing follows.
    if (this.#answer.trim() !== "") this.#lastAnswer = this.#answer;
    this.#answer = "";
    this.#tools.set(id, { name, input, open: true });
    this.#emit({ kind: "tool", id, name, state: "started", input, output: null });
  }

  /** The end of a call that may not have been heard of before. After it nothing more comes of the call. */
  toolEnded(id: string, state: "done" | "failed", output: string | null, known: { name: string; input: unknown } | null = null): void {
    if (known) this.toolStarted(id, known.name, known.input);
    const tool = this.#tools.get(id);
    if (!tool?.open) return;
    tool.open = false;
    const cut = output !== null && output.length > mostOutput ? `${output.slice(0, mostOutput)}\n[cut]` : output;
    this.#emit({ kind: "tool", id, name: tool.name, state, input: tool.input, output: cut });
  }

  /** What went wrong, as the program words it; null: it has recovered. The last word counts. */
  error(message: string | null): void {
    this.#error = message;
  }

  /** Adds what one call of the model took. */
  used(counts: Partial<Counts>): void {
    const { inputTokens, outputTokens, cachedTokens, costUsd } = this.#usage ?? none;
    this.#usage = {
      inputTokens: inputTokens + count(counts.inputTokens),
      outputTokens: outputTokens + count(counts.outputTokens),
      cachedTokens: cachedTokens + count(counts.cachedTokens),
      costUsd: typeof counts.costUsd === "number" ? (costUsd ?? 0) + counts.costUsd : costUsd,
    };
  }

  /** It ended before it did anything, because it does not know the conversation that it was to go on with. */
  hasForgotten(exit: Exit, words: string): boolean {
    return !this.#anything && exit.code !== 0 && isForgotten(this.#error ?? words);
  }

  /** What the program says that it has used; null when it did not say. */
  get usage(): Counts | null {
    return this.#usage;
  }

  /** How the turn ended, once the program has. `line` is the last thing that it said on stderr. */
  outcome(exit: Exit, line: string, now: number): Outcome {
    const output = (this.#answer.trim() === "" ? this.#lastAnswer : this.#answer).trim();
    const said = this.#error ?? errorSaidAsText(output, this.#tools.size === 0);
    if (said !== null) return outcomeOfModelError(said, now);
    if (exit.code !== 0) return failureOf(exit, line, now);
    if (this.#anything) return { kind: "done", output };
    return { kind: "failed", cause: "model", message: "it ended without a word and without doing anything", retryable: true };
  }
}

/** As each of them says it; a program that was killed, or has no login, says something else. */
const isForgotten = (words: string): boolean =>
  /\bno (?:saved )?(?:session|conversation|rollout)\b.{0,80}\bfound|\b(?:session|conversation)\b.{0,80}\bnot found|\binvalid session\b/i.test(
    words,
  );

export const none: Counts = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, costUsd: null };
const count = (value: number | undefined): number => (typeof value === "number" && value > 0 ? Math.round(value) : 0);

/** What a conversation took in a turn, of a program that tells the sum over all of them. null: the sum before is not known. */
export function since(before: Counts | null, sum: Counts): Counts | null {
  if (!before) return null;
  const left = (now: number, then: number): number => Math.max(0, now - then);
  return {
    inputTokens: left(sum.inputTokens, before.inputTokens),
    outputTokens: left(sum.outputTokens, before.outputTokens),
    cachedTokens: left(sum.cachedTokens, before.cachedTokens),
    costUsd: sum.costUsd === null ? null : left(sum.costUsd, before.costUsd ?? 0),
  };
}

/** Of a program that ended badly without saying why in its own words. `line` is the last that it said. */
export function failureOf(exit: Exit, line: string, now: number): Outcome {
  const how = exit.signal ? `was ended by ${exit.signal}` : `ended with code ${exit.code}`;
  const message = `the program ${how}${line ? `: ${line}` : ""}`;
  const said = outcomeOfModelError(line, now);
  if (said.kind === "limited") return { ...said, message };
  // 126 and 127: it could not be started, and will not be the next time.
  return { kind: "failed", cause: "process", message, retryable: exit.code !== 126 && exit.code !== 127 };
}
