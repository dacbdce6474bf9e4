import { mutationsOf, type Mutation } from "./mutations.ts";
import type { FailedTest } from "./test-output.ts";
import { tokensOf } from "./tokens.ts";

/** A piece of a source file at its outermost level: a function, a class, a constant. */
interface Region {
  start: number;
  end: number;
  names: string[];
  uses: Set<string>;
}

export interface Candidate extends Mutation {
  path: string;
  /** The function or constant that is changed. */
  where: string | null;
  /** How far the place is from what the failing test uses: 0 is used by the test itself. */
  distance: number;
}

/** All changes worth trying, the most likely first: near to what the failing tests use, then the most usual slips. */
export function candidatesFor(sources: Map<string, string>, usedByTests: Set<string>): Candidate[] {
  const regions = [...sources].flatMap(([path, text]) => regionsOf(text).map((region) => ({ path, region })));
  const distances = distancesFrom(
    regions.map(({ region }) => region),
    usedByTests,
  );
  const found = [...sources].flatMap(([path, text]) =>
    mutationsOf(text).map((mutation): Candidate => {
      const region = regions.find(
        (each) => each.path === path && each.region.start <= mutation.start && mutation.start < each.region.end,
      )?.region;
      return { ...mutation, path, where: region?.names[0] ?? null, distance: region ? (distances.get(region) ?? far) : far };
    }),
  );
  return found.toSorted((a, b) => a.distance - b.distance || a.rank - b.rank);
}

const far = 3;

/** From the names in the tests through the names in what they use. */
function distancesFrom(regions: Region[], names: Set<string>): Map<Region, number> {
  const distances = new Map<Region, number>();
  let wanted = names;
  for (let distance = 0; distance < far; distance += 1) {
    const reached = regions.filter((region) => !distances.has(region) && region.names.some((name) => wanted.has(name)));
    for (const region of reached) distances.set(region, distance);
    wanted = new Set(reached.flatMap(({ uses }) => [...uses]));
  }
  return distances;
}

const declarations = new Set(["function", "class", "const", "let", "var"]);

export function regionsOf(text: string): Region[] {
  const regions: Region[] = [];
  let depth = 0;
  let current: Region | null = null;
  const tokens = tokensOf(text);
  for (const [index, token] of tokens.entries()) {
    if (depth === 0 && token.kind === "name" && declarations.has(token.text)) {
      const name = tokens[index + 1]?.text === "*" ? tokens[index + 2] : tokens[index + 1];
      current = { start: token.start, end: text.length, names: name?.kind === "name" ? [name.text] : [], uses: new Set() };
      const last = regions.at(-1);
      if (last) last.end = Math.min(last.end, token.start);
      regions.push(current);
    }
    if (token.kind === "punctuation" && "([{".includes(token.text)) depth += 1;
    if (token.kind === "punctuation" && ")]}".includes(token.text)) depth -= 1;
    if (token.kind === "name") current?.uses.add(token.text);
  }
  return regions;
}

/** The names in the code of the failing tests; of the whole file when the place is not known. */
export function namesInTests(text: string, failures: FailedTest[]): Set<string> {
  const lines = text.split("\n");
  const parts = failures.map(({ line }) => (line === null ? text : blockFrom(lines, line)));
  return new Set(parts.flatMap((part) => tokensOf(part).flatMap(({ kind, text: name }) => (kind === "name" ? [name] : []))));
}

/** From the test's own line to the next one that is not deeper: where the next test begins. */
function blockFrom(lines: string[], line: number): string {
  const indent = (text: string): number => text.length - text.trimStart().length;
  const first = lines[line - 1] ?? "";
  const length = lines.slice(line).findIndex((each) => /^\s*[A-Za-z]/.test(each) && indent(each) <= indent(first));
  return lines.slice(line - 1, length < 0 ? undefined : line + length).join("\n");
}
