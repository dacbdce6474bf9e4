/**
 * A behaviour of the demo model is a generator: it yields tool calls and is given their results, and returns its last words.
 * The model itself keeps nothing between two calls. It runs the behaviour from its beginning through all the results that
 * stand in the conversation, and says what comes next; so the same conversation always gets the same answer.
 */
export interface DemoCall {
  tool: "read" | "write" | "edit" | "list" | "search" | "shell";
  input: Record<string, unknown>;
}

export interface DemoResult {
  ok: boolean;
  output: string;
}

export interface Step {
  say: string;
  calls: DemoCall[];
}

/** `T` is the last words for a whole behaviour, or what a part of one found out. */
export type Behaviour<T = string> = Generator<Step, T, DemoResult[]>;

/** One call, by itself. */
export function* call(say: string, tool: DemoCall["tool"], input: DemoCall["input"]): Behaviour<DemoResult> {
  const [result] = yield { say, calls: [{ tool, input }] };
  return result ?? { ok: false, output: "the tool gave no result" };
}

/** Several files at once; those that cannot be read are left out. */
export function* readFiles(say: string, paths: string[]): Behaviour<Map<string, string>> {
  if (paths.length === 0) return new Map();
  const results = yield { say, calls: paths.map((path) => ({ tool: "read", input: { path } })) };
  return new Map(paths.flatMap((path, index): [string, string][] => (results[index]?.ok ? [[path, results[index].output]] : [])));
}

export type Move = { kind: "step"; step: Step } | { kind: "end"; text: string };

/** What comes after these results. */
export function nextMove(behaviour: Behaviour, results: DemoResult[][]): Move {
  let moved = behaviour.next();
  for (const given of results) {
    if (moved.done) break;
    moved = behaviour.next(given);
  }
  return moved.done ? { kind: "end", text: moved.value } : { kind: "step", step: moved.value };
}
