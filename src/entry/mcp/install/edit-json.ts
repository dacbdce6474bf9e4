import { isDeepStrictEqual } from "node:util";

/**
 * Sets one value in a JSON text and leaves every other byte as it is: people keep these files by hand, and other programs write
 * them in their own way. null for a text that is no plain JSON (comments, a trailing comma): that is not ours to rewrite.
 */
export function setInJson(text: string, path: readonly string[], value: unknown): string | null {
  if (text.trim() === "") return `${JSON.stringify(nested(path, value), null, 2)}\n`;
  const before = parseObject(text);
  if (!before) return null;
  if (isDeepStrictEqual(valueAt(before, path), value)) return text;
  const changed = edit(text, objectAt(text, text.indexOf("{")), path, value);
  const after = changed === null ? null : parseObject(changed);
  // The edit works on the text; that it says what was meant is checked on the values.
  return after && isDeepStrictEqual(after, withValue(before, path, value)) ? changed : null;
}

type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/** The object that a JSON text is; null when it is none. */
export function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null; // no JSON
  }
}

export const valueAt = (object: JsonObject, path: readonly string[]): unknown =>
  path.reduce<unknown>((at, name) => (isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined), object);

function withValue(object: JsonObject, [name = "", ...rest]: readonly string[], value: unknown): JsonObject {
  const below = Object.hasOwn(object, name) ? object[name] : undefined;
  return { ...object, [name]: rest.length === 0 ? value : withValue(isObject(below) ? below : {}, rest, value) };
}

const nested = (path: readonly string[], value: unknown): unknown => path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);

interface Member {
  key: string;
  start: number;
  valueStart: number;
  end: number;
}

interface Span {
  start: number;
  /** Of the closing brace. */
  close: number;
  members: Member[];
}

function edit(text: string, object: Span, [name = "", ...rest]: readonly string[], value: unknown): string | null {
  // Of two members with one name the last one counts.
  const member = object.members.findLast(({ key }) => key === name);
  if (!member) return insert(text, object, name, nested(rest, value));
  if (rest.length > 0 && text[member.valueStart] === "{") return edit(text, objectAt(text, member.valueStart), rest, value);
  if (rest.length > 0) return null;
  return text.slice(0, member.valueStart) + written(value, indentAt(text, member.start), unitOf(text)) + text.slice(member.end);
}

function insert(text: string, { start, close, members }: Span, name: string, value: unknown): string {
  const newLine = text.includes("\r\n") ? "\r\n" : "\n";
  const unit = unitOf(text);
  const last = members.at(-1);
  const outer = indentAt(text, start);
  const indent = last && text.slice(start, last.start).includes("\n") ? indentAt(text, last.start) : outer + unit;
  const member = `${JSON.stringify(name)}: ${written(value, indent, unit)}`.replaceAll("\n", newLine);
  if (last) return `${text.slice(0, last.end)},${newLine}${indent}${member}${text.slice(last.end)}`;
  return `${text.slice(0, start + 1)}${newLine}${indent}${member}${newLine}${outer}${text.slice(close)}`;
}

const written = (value: unknown, indent: string, unit: string): string => JSON.stringify(value, null, unit).replaceAll("\n", `\n${indent}`);

/** The blanks at the beginning of the line of a place. */
function indentAt(text: string, place: number): string {
  const line = text.slice(text.lastIndexOf("\n", place - 1) + 1, place);
  return /^[ \t]*/.exec(line)?.[0] ?? "";
}

/** What this file indents by: the first line that is indented says it. */
const unitOf = (text: string): string => /\n([ \t]+)"/.exec(text)?.[1] ?? "  ";

/** The members of the object that begins at `start` of a text that is valid JSON. */
function objectAt(text: string, start: number): Span {
  const members: Member[] = [];
  let at = blanks(text, start + 1);
  while (text[at] !== "}") {
    const keyEnd = valueEnd(text, at);
    const valueStart = blanks(text, blanks(text, keyEnd) + 1);
    const end = valueEnd(text, valueStart);
    members.push({ key: String(JSON.parse(text.slice(at, keyEnd))), start: at, valueStart, end });
    at = blanks(text, end);
    if (text[at] === ",") at = blanks(text, at + 1);
  }
  return { start, close: at, members };
}

const blanks = (text: string, from: number): number => endOf(/[ \t\r\n]*/y, text, from);

function valueEnd(text: string, from: number): number {
  if (text[from] === '"') return endOf(/"(?:[^"\\]|\\.)*"/y, text, from);
  if (text[from] !== "{" && text[from] !== "[") return endOf(/[^\s,\]}]+/y, text, from);
  let depth = 0;
  let at = from;
  do {
    if (text[at] === '"') {
      at = valueEnd(text, at);
      continue;
    }
    if (text[at] === "{" || text[at] === "[") depth += 1;
    if (text[at] === "}" || text[at] === "]") depth -= 1;
    at += 1;
  } while (depth > 0);
  return at;
}

function endOf(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : from;
}
