import type { TranscriptEntry } from "../../../../src/sessions/session.ts";

/** What an agent did with a tool: asked for, and how it ended. */
export interface Call {
  name: string;
  /** started: no end of it was told. */
  state: "started" | "done" | "failed";
  input: string;
  output: string;
}

/** What belongs together on the page. Texts that came in pieces are one; a tool's beginning and end are one call. */
export type Block =
  | { kind: "prompt" | "text" | "thought" | "note" | "answer"; key: string; text: string; at: number }
  | { kind: "calls"; key: string; calls: Call[]; at: number }
  | { kind: "permission"; key: string; name: string; text: string; at: number }
  | { kind: "check" | "setup"; key: string; name: string; state: string; text: string; at: number }
  | { kind: "outcome"; key: string; state: string; text: string; at: number };

export interface TurnBlocks {
  turn: number;
  at: number;
  blocks: Block[];
}

/** More calls than this are another block: what is drawn at once has an end. */
const mostCalls = 40;

/** The conversation turn by turn, in its order. Pure; nothing of it is left out. */
export const turnsOf = (entries: readonly TranscriptEntry[]): TurnBlocks[] => grown([], entries, 0);

/**
 * The same conversation with further entries, of which `from` came before. Pure: what they do not touch is the same object as before,
 * so that a page that knows it need not draw it again.
 */
export function grown(turns: readonly TurnBlocks[], entries: readonly TranscriptEntry[], from: number): TurnBlocks[] {
  const all = [...turns];
  const last = all.at(-1);
  // Only the end is still open: a text goes on, a call has its end told.
  if (last) all[all.length - 1] = { ...last, blocks: [...last.blocks.slice(0, -2), ...last.blocks.slice(-2).map(copyOf)] };
  for (const [index, entry] of entries.entries()) {
    let turn = all.at(-1);
    if (turn?.turn !== entry.turn) all.push((turn = { turn: entry.turn, at: entry.at, blocks: [] }));
    add(turn.blocks, entry, String(from + index));
  }
  return all;
}

const copyOf = (block: Block): Block =>
  block.kind === "calls" ? { ...block, calls: block.calls.map((call) => ({ ...call })) } : { ...block };

function add(blocks: Block[], entry: TranscriptEntry, key: string): void {
  const { kind, at, text, name = "", state = "" } = entry;
  const last = blocks.at(-1);
  switch (kind) {
    case "text":
    case "thought":
      if (last?.kind === kind) last.text += text;
      else blocks.push({ kind, key, text, at });
      return;
    case "tool": {
      const call = callOf(name, state, text);
      const before = blocks.at(-2);
      if (last?.kind !== "calls") blocks.push({ kind: "calls", key, calls: [call], at });
      else if (finish(last.calls, call) || (before?.kind === "calls" && finish(before.calls, call))) return;
      else if (last.calls.length < mostCalls) last.calls.push(call);
      else blocks.push({ kind: "calls", key, calls: [call], at });
      return;
    }
    case "permission":
      blocks.push({ kind, key, name, text, at });
      return;
    case "check":
    case "setup":
      blocks.push({ kind, key, name, state, text, at });
      return;
    case "outcome":
      blocks.push({ kind, key, state: state || name, text, at });
      return;
    default:
      blocks.push({ kind, key, text, at });
  }
}

/** The input stands in the first line, as JSON; the output behind it. */
function callOf(name: string, state: string, text: string): Call {
  const shape = state === "failed" ? "failed" : state === "done" ? "done" : "started";
  const cut = text.indexOf("\n");
  const first = cut < 0 ? text : text.slice(0, cut);
  const isInput = /^[[{"]/.test(first);
  return { name, state: shape, input: isInput ? first : "", output: isInput ? (cut < 0 ? "" : text.slice(cut + 1)) : text };
}

/** What is told of a call belongs to the newest of that name that has not ended; an input to one whose input was not told yet. */
function finish(calls: Call[], told: Call): boolean {
  const open = calls.findLast((call) => call.state === "started" && call.name === told.name);
  if (!open || (told.state === "started" && (told.input === "" || open.input !== ""))) return false;
  open.state = told.state;
  open.input = told.input || open.input;
  open.output = told.output || open.output;
  return true;
}

/** One line that says what a call is about: its command or path, else the beginning of its input. */
export function callLine({ input, output }: Call): string {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    return oneLine(input || output);
  }
  if (typeof value !== "object" || value === null) return oneLine(String(value));
  const fields = value as Record<string, unknown>;
  const told = ["command", "cmd", "path", "file_path", "filePath", "file", "url", "pattern", "query"]
    .map((name) => fields[name])
    .find((one) => typeof one === "string" || Array.isArray(one));
  return oneLine(Array.isArray(told) ? told.join(" ") : typeof told === "string" ? told : input);
}

const oneLine = (text: string): string => (text.trim().split("\n", 1)[0] ?? "").slice(0, 300);

/** What can be found in a block, in lower case, made once: a long conversation is looked through at every key. */
const searchable = new WeakMap<Block, string>();

function textIn(block: Block): string {
  let text = searchable.get(block);
  if (text === undefined) {
    text = (
      block.kind === "calls" ? block.calls.map(({ name, input, output }) => `${name} ${input} ${output}`).join("\n") : block.text
    ).toLowerCase();
    searchable.set(block, text);
  }
  return text;
}

/** Whether a block has all the words, anywhere in it. */
export function blockHas(block: Block, words: readonly string[]): boolean {
  const text = textIn(block);
  return words.every((word) => text.includes(word));
}

/** What must never be folded away. */
export const isError = (block: Block): boolean =>
  (block.kind === "calls" && block.calls.some(({ state }) => state === "failed")) ||
  ((block.kind === "check" || block.kind === "setup" || block.kind === "outcome") && block.state === "failed");
