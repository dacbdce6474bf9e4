import type { PastTurn } from "../backend.ts";

/** What is given along of earlier turns at most, the newest first, in characters. */
const mostText = 60_000;

/**
 * A prompt for a program that does not remember the conversation: what was said before stands in front of it, as data, one JSON
 * object a line, so that nothing in it can be taken for the end of the data or for the new request.
 */
export function withPast(past: readonly PastTurn[], prompt: string): string {
  const lines: string[] = [];
  let left = mostText;
  for (const turn of [...past].reverse()) {
    const line = JSON.stringify({ asked: cut(turn.prompt), answered: cut(turn.output) });
    if (line.length > left) break;
    left -= line.length;
    lines.unshift(line);
  }
  if (lines.length === 0) return prompt;
  return [
    `This conversation goes on from before. Its last ${lines.length === 1 ? "turn" : `${lines.length} turns`}, as data, oldest first (already done: do not do it again):`,
    ...lines,
    "",
    "The request now:",
    "",
    prompt,
  ].join("\n");
}

/** Beginning and end: what was asked for and what came of it. */
function cut(text: string, most = 12_000): string {
  return text.length <= most ? text : `${text.slice(0, most / 2)}\n[...]\n${text.slice(-most / 2)}`;
}
