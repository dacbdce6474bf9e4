import type { Position, Problem } from "./flow.ts";

const maxProblems = 200;

/** The problems of one flow as they are found. What a file says is shown to people: control characters become visible. */
export class Problems {
  readonly #found: Problem[] = [];
  readonly #seen = new Set<string>();

  add(at: Position, message: string, fix: string | null): void {
    const key = JSON.stringify([at, message]);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#found.push({ at, message: printable(message), fix: fix === null ? null : printable(fix) });
  }

  get count(): number {
    return this.#found.length;
  }

  /** So many that looking for more is a waste. */
  get areMany(): boolean {
    return this.#found.length >= 5 * maxProblems;
  }

  /** In the order of the files, at most 200; the last then says how many more there are. */
  list(file: string): Problem[] {
    const own = (problem: Problem): number => (problem.at.file === file ? 0 : 1);
    const order = (a: Problem, b: Problem): number =>
      own(a) - own(b) || a.at.file.localeCompare(b.at.file) || a.at.line - b.at.line || a.at.column - b.at.column;
    const sorted = this.#found.toSorted(order);
    const last = sorted[maxProblems];
    if (!last) return sorted;
    return [...sorted.slice(0, maxProblems), { at: last.at, message: `and ${sorted.length - maxProblems} more problems`, fix: null }];
  }
}

const printable = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
