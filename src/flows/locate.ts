import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Scalar, type YAMLMap, type YAMLSeq } from "yaml";
import type { Position } from "./flow.ts";
import type { Problems } from "./problems.ts";

/**
 * YAML as a tree in which every part knows its place. An alias is the very node that it names, so nothing grows while reading;
 * whoever copies a tree into plain data must count (see `plainOf`).
 */
export type Located =
  | { kind: "scalar"; at: Position; value: string | number | boolean | null; text: Text }
  | { kind: "list"; at: Position; items: Located[] }
  | { kind: "map"; at: Position; entries: Map<string, Entry> };

export interface Entry {
  /** The place of the key. */
  at: Position;
  value: Located;
}

/** Text with the place of each of its characters, as well as it is known. */
export interface Text {
  value: string;
  placeOf(offset: number): Position;
}

const maxDepth = 64;
const maxSyntaxProblems = 20;

interface Locating {
  source: string;
  problems: Problems;
  place: (offset: number) => Position;
  anchors: Map<string, Located>;
}

/** Reads one YAML document. null: it is no YAML, and the problems say why. */
export function locate(source: string, file: string, problems: Problems): Located | null {
  const lineCounter = new LineCounter();
  // Doubled keys are found here: the library's own search takes the square of their number.
  const document = parseDocument(source, { lineCounter, prettyErrors: false, uniqueKeys: false });
  const place = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(Math.min(offset, source.length));
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = [...document.errors, ...document.warnings];
  for (const fault of faults.slice(0, maxSyntaxProblems))
    problems.add(place(fault.pos[0]), `this is no valid YAML: ${fault.message}`, null);
  if (faults.length > 0) return null;
  return locateNode(document.contents, { source, problems, place, anchors: new Map() }, 0, 0);
}

function locateNode(node: Node | null, locating: Locating, after: number, depth: number): Located {
  const start = node?.range?.[0] ?? after;
  const at = locating.place(start);
  if (depth > maxDepth) {
    locating.problems.add(at, `this is nested deeper than ${maxDepth}`, null);
    return empty(at);
  }
  if (isAlias(node)) return locateAlias(node.source, at, locating);
  const located = locateContent(node, at, locating, depth);
  const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
  if (anchor !== undefined) locating.anchors.set(anchor, located);
  return located;
}

function locateAlias(name: string, at: Position, locating: Locating): Located {
  const found = locating.anchors.get(name);
  if (found) return found;
  locating.problems.add(at, `the alias \`*${name}\` names nothing that stands before it, or itself`, null);
  return empty(at);
}

function locateContent(node: Node | null, at: Position, locating: Locating, depth: number): Located {
  if (isMap(node)) return locateMap(node, at, locating, depth);
  if (isSeq(node)) return { kind: "list", at, items: locateItems(node, locating, depth) };
  if (!isScalar(node)) return empty(at);
  const { value } = node;
  if (typeof value === "string") return { kind: "scalar", at, value, text: textOf(node, value, at, locating) };
  if (typeof value === "number" || typeof value === "boolean") {
    return { kind: "scalar", at, value, text: { value: node.source ?? String(value), placeOf: () => at } };
  }
  return empty(at);
}

const empty = (at: Position): Located => ({ kind: "scalar", at, value: null, text: { value: "", placeOf: () => at } });

const locateItems = (node: YAMLSeq, locating: Locating, depth: number): Located[] =>
  node.items.map((item) => locateNode(item as Node | null, locating, node.range?.[0] ?? 0, depth + 1));

function locateMap(node: YAMLMap, at: Position, locating: Locating, depth: number): Located {
  const entries = new Map<string, Entry>();
  for (const pair of node.items) {
    const key = pair.key as Node | null;
    const keyAt = locating.place(key?.range?.[0] ?? node.range?.[0] ?? 0);
    const value = locateNode(pair.value as Node | null, locating, key?.range?.[1] ?? 0, depth + 1);
    const name =
      isScalar(key) && key.value !== null ? (typeof key.value === "string" ? key.value : (key.source ?? JSON.stringify(key.value))) : null;
    const earlier = name === null ? undefined : entries.get(name);
    if (name === null) locating.problems.add(keyAt, "a key must be text", null);
    else if (earlier)
      locating.problems.add(keyAt, `the key ${quoted(name)} is given twice, first in line ${earlier.at.line}`, "remove one of them");
    else entries.set(name, { at: keyAt, value });
  }
  return { kind: "map", at, entries };
}

/**
 * The n-th `${{` of the value is the n-th in the file, whatever folding and quoting did to the text around it;
 * from there on, offsets count as long as the characters are the same.
 */
function textOf(node: Scalar, value: string, at: Position, { source, place }: Locating): Text {
  const [start, end] = node.range ?? [0, 0];
  const placeOf = (offset: number): Position => {
    const open = value.lastIndexOf("${{", offset);
    if (open === -1) return at;
    let found = source.indexOf("${{", start);
    for (let skip = value.slice(0, open).split("${{").length - 1; skip > 0 && found !== -1; skip -= 1)
      found = source.indexOf("${{", found + 3);
    if (found === -1 || found >= end) return at;
    const isSame = source.slice(found, found + offset - open) === value.slice(open, offset);
    return place(isSame ? found + offset - open : found);
  };
  return { value, placeOf };
}

/** The text of a whole file. */
export function textOfFile(value: string, file: string): Text {
  return {
    value,
    placeOf(offset) {
      const before = value.slice(0, offset).split("\n");
      return { file, line: before.length, column: (before.at(-1) ?? "").length + 1 };
    },
  };
}

/** A name out of a file, fit for a message. */
export const quoted = (name: string): string => `\`${name.length > 60 ? `${name.slice(0, 59)}…` : name}\``;

/** The part of a tree at a path, or the nearest part above it that is there. */
export function partAt(node: Located, path: readonly (string | number)[]): Located {
  let part = node;
  for (const key of path) {
    const next = part.kind === "map" ? part.entries.get(String(key))?.value : part.kind === "list" ? part.items[Number(key)] : undefined;
    if (next === undefined) return part;
    part = next;
  }
  return part;
}
