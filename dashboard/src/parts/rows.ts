/** Pure rules of lists, tables and trees: which row comes next, which rows are seen. */

/** The key that many steps from the current one, held at both ends; the first (or last) when there is no current one. */
export function stepKey(keys: readonly string[], current: string | null | undefined, steps: number): string | undefined {
  if (keys.length === 0) return undefined;
  const at = current === null || current === undefined ? -1 : keys.indexOf(current);
  if (at === -1) return steps >= 0 ? keys[0] : keys.at(-1);
  return keys[Math.min(keys.length - 1, Math.max(0, at + steps))];
}

/** How many rows a key moves, or undefined for a key that moves none. `letters`: j and k too. */
export function stepsOf(key: string, page: number, letters: boolean): number | undefined {
  if (key === "ArrowDown" || (letters && key === "j")) return 1;
  if (key === "ArrowUp" || (letters && key === "k")) return -1;
  if (key === "PageDown") return page;
  if (key === "PageUp") return -page;
  if (key === "Home") return -Infinity;
  if (key === "End") return Infinity;
  return undefined;
}

export interface TreeRow<T> {
  key: string;
  row: T;
  /** From 1, as aria-level. */
  level: number;
  /** Undefined: a row without rows below it. */
  expanded: boolean | undefined;
  position: number;
  siblings: number;
  parent: string | undefined;
}

/** The rows of a tree that are seen, in order: a row's children follow it when it is expanded. A row that contains itself is shown once. */
export function treeRows<T>(
  roots: readonly T[],
  keyOf: (row: T) => string,
  childrenOf: (row: T) => readonly T[] | undefined,
  expanded: ReadonlySet<string>,
): TreeRow<T>[] {
  const rows: TreeRow<T>[] = [];
  const seen = new Set<string>();
  const add = (siblings: readonly T[], level: number, parent: string | undefined) => {
    for (const [index, row] of siblings.entries()) {
      const key = keyOf(row);
      if (seen.has(key)) continue;
      seen.add(key);
      const children = childrenOf(row);
      const open = children === undefined || children.length === 0 ? undefined : expanded.has(key);
      rows.push({ key, row, level, expanded: open, position: index + 1, siblings: siblings.length, parent });
      if (open === true && children !== undefined) add(children, level + 1, key);
    }
  };
  add(roots, 1, undefined);
  return rows;
}
