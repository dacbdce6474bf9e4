/** The graph of needs: `needs.get("b")` holds the steps that b waits for. Every name in it is a step. */
export type Needs = ReadonlyMap<string, readonly string[]>;

/** Circles of steps that wait for each other, each as the way around: ["a", "b", "a"]. */
export function findCycles(needs: Needs): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const follow = (step: string): void => {
    const start = path.indexOf(step);
    if (start !== -1) cycles.push([...path.slice(start), step]);
    if (start !== -1 || done.has(step)) return;
    path.push(step);
    for (const need of needs.get(step) ?? []) follow(need);
    path.pop();
    done.add(step);
  };
  for (const step of needs.keys()) follow(step);
  return cycles;
}

/** All steps that have ended before a step begins. */
export function ancestorsOf(step: string, needs: Needs): Set<string> {
  const found = new Set<string>();
  const open = [...(needs.get(step) ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    open.push(...(needs.get(next) ?? []));
  }
  return found;
}
