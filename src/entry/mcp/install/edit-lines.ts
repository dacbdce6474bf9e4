import { isDeepStrictEqual } from "node:util";
import { isMap, parseDocument, stringify } from "yaml";
import type { Launch } from "./programs.ts";

/**
 * The formats in which we only add: a section at the end of a TOML file, an entry at the end of a YAML map. What stands there
 * already stays byte for byte. null for a file in which that is not possible for sure.
 */
export function addToToml(text: string, { command, args, env }: Launch): string | null {
  const section = tomlSection({ command, args, env });
  if (text.includes(section)) return text;
  // A second table of this name, or a table where there is a value, would make the whole file invalid.
  if (/^\s*(\[+\s*)?["']?mcp_servers["']?\s*(=|\.\s*["']?tutti\b)/m.test(text)) return null;
  if (/^\s*\[\s*["']?mcp_servers["']?\s*\]/m.test(text) && /^\s*["']?tutti["']?\s*[.=]/m.test(text)) return null;
  const gap = text === "" ? "" : text.endsWith("\n") ? "\n" : "\n\n";
  return `${text}${gap}${section}`;
}

// A basic string of TOML takes the escapes of JSON.
const quoted = (text: string): string => JSON.stringify(text);

export const tomlSection = ({ command, args, env }: Launch): string =>
  [
    "[mcp_servers.tutti]",
    `command = ${quoted(command)}`,
    `args = [${args.map(quoted).join(", ")}]`,
    "",
    "[mcp_servers.tutti.env]",
    ...Object.entries(env).map(([name, value]) => `${name} = ${quoted(value)}`),
    "",
  ].join("\n");

/** Adds `name: value` to the block map `map` of a YAML text; makes the map at the end of the file when there is none. */
export function addToYaml(text: string, [map, name]: readonly [string, string], value: Record<string, unknown>): string | null {
  const document = parseDocument(text);
  if (document.errors.length > 0 || (document.contents !== null && !isMap(document.contents))) return null;
  const before = (document.toJS() ?? {}) as Record<string, unknown>;
  const there = (before[map] ?? {}) as Record<string, unknown>;
  if (isDeepStrictEqual(there[name], value)) return text;
  if (there[name] !== undefined || (document.contents?.flow ?? false)) return null;
  const changed = before[map] === undefined || before[map] === null ? null : insertInto(text, document.getIn([map]), name, value);
  const whole = document.has(map) ? changed : atEnd(text, stringify({ [map]: { [name]: value } }));
  // The edit works on the text; that it says what was meant is checked on the values.
  return whole !== null && isDeepStrictEqual(parsed(whole), { ...before, [map]: { ...there, [name]: value } }) ? whole : null;
}

const atEnd = (text: string, more: string): string => (text === "" || text.endsWith("\n") ? text + more : `${text}\n${more}`);

/** Behind the last entry of a block map, indented as its entries are. */
function insertInto(text: string, map: unknown, name: string, value: unknown): string | null {
  if (!isMap(map) || map.flow || !map.range) return null;
  const [start, end] = map.range;
  const indent = " ".repeat(start - text.lastIndexOf("\n", start - 1) - 1);
  const entry = stringify({ [name]: value })
    .trimEnd()
    .split("\n")
    .map((line) => `${indent}${line}\n`)
    .join("");
  // A comment behind the last value stays in its line.
  const lineEnd = text[end - 1] === "\n" ? end : text.indexOf("\n", end) + 1 || text.length;
  const head = text.slice(0, lineEnd);
  return `${head}${head.endsWith("\n") ? "" : "\n"}${entry}${text.slice(lineEnd)}`;
}

function parsed(text: string): unknown {
  const document = parseDocument(text);
  return document.errors.length > 0 ? null : document.toJS();
}
