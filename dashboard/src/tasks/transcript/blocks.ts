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

/** The conversation turn by turn, in its order. Pure; nothing of it is left out. */
export function turnsOf(entries: readonly TranscriptEntry[]): TurnBlocks[] {
  const turns: TurnBlocks[] = [];
  for (const [index, entry] of entries.entries()) {
    let turn = turns.at(-1);
    if (turn?.turn !== entry.turn) turns.push((turn = { turn: entry.turn, at: entry.at, blocks: [] }));
    add(turn.blocks, entry, String(index));
  }
  return turns;
}

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
      if (last?.kind !== "calls") blocks.push({ kind: "calls", key, calls: [call], at });
      else if (!finish(last.calls, call)) last.calls.push(call);
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

/** An end belongs to the newest call of that name which has none. */
function finish(calls: Call[], end: Call): boolean {
  if (end.state === "started") return false;
  const open = calls.findLast((call) => call.state === "started" && call.name === end.name);
  if (!open) return false;
  open.state = end.state;
  open.input = end.input || open.input;
  open.output = end.output || open.output;
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

/** Whether a block has all the words, anywhere in it. */
export function blockHas(block: Block, words: readonly string[]): boolean {
  const text = (
    block.kind === "calls" ? block.calls.map(({ name, input, output }) => `${name} ${input} ${output}`).join("\n") : block.text
  ).toLowerCase();
  return words.every((word) => text.includes(word));
}

/** What must never be folded away. */
export const isError = (block: Block): boolean =>
  (block.kind === "calls" && block.calls.some(({ state }) => state === "failed")) ||
  ((block.kind === "check" || block.kind === "setup" || block.kind === "outcome") && block.state === "failed");
