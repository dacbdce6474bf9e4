import type { Position } from "./flow.ts";
import { quoted, type Entry, type Located } from "./locate.ts";
import type { Problems } from "./problems.ts";
import { suggest } from "./suggest.ts";

/** The keys of one mapping that are known, each with its place. */
export interface Fields {
  at: Position;
  entries: Map<string, Entry>;
  get(name: string): Located | undefined;
  /** The place of a key, or of the whole when it is not there. */
  placeOf(name: string): Position;
}

/** A place with its name, for messages: `check.retry`. */
export interface Named {
  name: string;
  node: Located;
}

/** Refuses what is not a mapping. Null: it is none. */
export function readMap({ name, node }: Named, problems: Problems, fix: string | null = null): Fields | null {
  if (node.kind !== "map") {
    problems.add(node.at, `${quoted(name)} must be a mapping, this is ${kindOf(node)}`, fix);
    return null;
  }
  return fieldsOf(node.at, node.entries);
}

export function fieldsOf(at: Position, entries: Map<string, Entry>): Fields {
  return { at, entries, get: (key) => entries.get(key)?.value, placeOf: (key) => entries.get(key)?.at ?? at };
}

/** Names every key that is not one of the known ones. */
export function refuseUnknownKeys(
  fields: Fields,
  known: readonly string[],
  { name, problems }: { name: string; problems: Problems },
): void {
  for (const [key, entry] of fields.entries) {
    if (known.includes(key)) continue;
    const where = name === "" ? "" : ` in ${quoted(name)}`;
    problems.add(entry.at, `the key ${quoted(key)} is not known${where}`, suggest(key, known, `the keys are: ${known.join(", ")}`));
  }
}

/** Text of at least one and at most `max` characters. Null: it is none, and a problem says so. */
export function readText({ name, node }: Named, problems: Problems, max = 10_000): string | null {
  if (node.kind !== "scalar" || typeof node.value !== "string") {
    const fix = node.kind === "scalar" && node.value !== null ? `put it in quotes: "${node.text.value}"` : null;
    problems.add(node.at, `${quoted(name)} must be text, this is ${kindOf(node)}`, fix);
    return null;
  }
  if (node.value.trim() === "") problems.add(node.at, `${quoted(name)} is empty`, null);
  else if (node.value.length > max) problems.add(node.at, `${quoted(name)} is longer than ${max} characters`, null);
  else if (node.value.includes("\0")) problems.add(node.at, `${quoted(name)} has a NUL character in it`, null);
  else return node.value;
  return null;
}

export interface Bounds {
  least: number;
  most: number;
  whole: boolean;
}

/** A number within its bounds. Null: it is none, and a problem says so. */
export function readNumber({ name, node }: Named, { least, most, whole }: Bounds, problems: Problems): number | null {
  const value = node.kind === "scalar" ? node.value : null;
  if (typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  const given = node.kind === "scalar" && node.value !== null ? quoted(node.text.value) : kindOf(node);
  problems.add(node.at, `${quoted(name)} must be a ${whole ? "whole " : ""}number from ${least} to ${most}, this is ${given}`, null);
  return null;
}

/** One text or a list of texts. Null: it is neither, and a problem says so. */
export function readTexts({ name, node }: Named, problems: Problems, max = 100): { text: string; at: Position }[] | null {
  const nodes = node.kind === "list" ? node.items : [node];
  const texts = nodes.map((item, index) => {
    const text = readText({ name: node.kind === "list" ? `${name}[${index}]` : name, node: item }, problems, max);
    return text === null ? null : { text, at: item.at };
  });
  const good = texts.filter((text) => text !== null);
  return good.length === texts.length ? good : null;
}

/** Wall time in minutes, up to a week. */
export const readMinutes = (node: Located | undefined, problems: Problems, name = "minutes"): number | null =>
  node === undefined ? null : readNumber({ name, node }, { least: 0.01, most: 10_080, whole: false }, problems);

const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "90s", "30m", "24h", "7d" in milliseconds; from a second to 90 days. */
export function readDuration({ name, node }: Named, problems: Problems): number | null {
  const text = node.kind === "scalar" ? node.text.value : "";
  const [, amount, unit = ""] = /^(\d{1,6}(?:\.\d{1,3})?)([smhd])$/.exec(text) ?? [];
  const ms = Math.round(Number(amount) * (units[unit] ?? 0));
  if (amount !== undefined && ms >= 1_000 && ms <= 90 * 86_400_000) return ms;
  problems.add(
    node.at,
    `${quoted(name)} must be a time from 1s to 90d, this is ${text === "" ? kindOf(node) : quoted(text)}`,
    "write it like 90s, 30m, 24h or 7d",
  );
  return null;
}

export function kindOf(node: Located): string {
  if (node.kind === "map") return "a mapping";
  if (node.kind === "list") return "a list";
  if (node.value === null) return "empty";
  return typeof node.value === "string" ? "text" : typeof node.value === "number" ? "a number" : "true or false";
}

/** Aliases make it easy to write a small file that means a huge value. */
const maxCopied = 20_000;

/** Data as it stands in the file. Names what has no place in JSON, and data that aliases make too large. */
export function plainOf(node: Located, problems: Problems): unknown {
  return copy(node, problems, { left: maxCopied, top: node.at });
}

interface Copying {
  left: number;
  top: Position;
}

function copy(node: Located, problems: Problems, copying: Copying): unknown {
  if (!mayCopy(copying, problems)) return null;
  if (node.kind === "list") return node.items.map((item) => copy(item, problems, copying));
  if (node.kind === "scalar") return finite(node, problems);
  const entries = [...node.entries].filter(([key, entry]) => isAllowedKey(key, entry.at, problems));
  return Object.fromEntries(entries.map(([key, entry]) => [key, copy(entry.value, problems, copying)]));
}

/** Counts one more copied value; false when there are too many, which is said once. */
export function mayCopy(copying: Copying, problems: Problems): boolean {
  copying.left -= 1;
  if (copying.left === -1) problems.add(copying.top, `this means more than ${maxCopied} values, by its aliases`, "use fewer aliases");
  return copying.left >= 0;
}

export const newCopying = (top: Position): Copying => ({ left: maxCopied, top });

export function isAllowedKey(key: string, at: Position, problems: Problems): boolean {
  if (key !== "__proto__" && key !== "constructor" && key !== "prototype") return true;
  problems.add(at, `the name ${quoted(key)} is not allowed`, "choose another name");
  return false;
}

export function finite(node: Located & { kind: "scalar" }, problems: Problems): string | number | boolean | null {
  if (typeof node.value !== "number" || Number.isFinite(node.value)) return node.value;
  problems.add(node.at, `${quoted(node.text.value)} is no number that JSON knows`, null);
  return null;
}
