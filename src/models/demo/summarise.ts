import type { Behaviour } from "./behaviour.ts";

const longestLine = 200;

/** Puts the results that stand in the prompt into a few lines. Uses no tool: everything is in the prompt. */
// eslint-disable-next-line require-yield
export function* summarise(prompt: string): Behaviour {
  const items = itemsIn(prompt);
  if (items.length === 0) return "There are no results to sum up.";
  const lines = items.map((item) => `- ${inOneLine(item)}`);
  return [`${items.length} ${items.length === 1 ? "result" : "results"}:`, ...lines].join("\n");
}

/** The results: a list in the JSON of the prompt, or else its own list of points. */
function itemsIn(prompt: string): unknown[] {
  const data = jsonIn(prompt);
  const list = Array.isArray(data) ? data : Object.values(data ?? {}).find((value) => Array.isArray(value));
  if (Array.isArray(list)) return list;
  if (data) return Object.entries(data).map(([name, value]) => `${name}: ${inOneLine(value)}`);
  return prompt.split("\n").flatMap((line) => /^\s*[-*]\s+(.+)$/.exec(line)?.[1] ?? []);
}

/** The first JSON object or list that begins a line and is whole. */
function jsonIn(text: string): Record<string, unknown> | unknown[] | null {
  for (const start of text.matchAll(/^[{[]/gm)) {
    const from = text.slice(start.index);
    // It ends at a closing bracket at the beginning of a line, or with its own first line.
    const ends = [from.indexOf("\n") < 0 ? from.length : from.indexOf("\n"), ...[...from.matchAll(/^[}\]]/gm)].map((end) => end.index + 1)];
    for (const end of ends) {
      const value = parsed(from.slice(0, end));
      if (typeof value === "object" && value !== null) return value as Record<string, unknown> | unknown[];
    }
  }
  return null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is an answer here: the caller looks at the next place.
    return null;
  }
}

/** The words of a result: an object's own title, output or summary, else all of it. The mark of this model is not repeated. */
function inOneLine(item: unknown): string {
  const named = typeof item === "object" && item !== null ? (item as Record<string, unknown>) : {};
  const said = [named.title, named.summary, named.output].find((value) => typeof value === "string");
  const text = typeof item === "string" ? item : typeof said === "string" ? said : JSON.stringify(item);
  const line = (text.split("\n").find((each) => each.trim() !== "") ?? "(nothing)").trim().replace(/^\[demo\]\s*/, "");
  return line.length > longestLine ? `${line.slice(0, longestLine - 1)}…` : line;
}
