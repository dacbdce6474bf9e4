import { createHash } from "node:crypto";
import { checkNames, type Names } from "./check-names.ts";
import type { Flow, FlowStep, Position, Problem } from "./flow.ts";
import { locate, quoted, type Located } from "./locate.ts";
import { ancestorsOf, findCycles } from "./order-steps.ts";
import { Problems } from "./problems.ts";
import { fieldsOf, isAllowedKey, kindOf, plainOf, readMap, readMinutes, readText, refuseUnknownKeys, type Fields } from "./read-fields.ts";
import { readStep, type Mention, type WrittenStep } from "./read-step.ts";
import type { Reading } from "./read-values.ts";
import { suggest } from "./suggest.ts";

type FlowInput = Flow["inputs"][string];

const maxBytes = 256 * 1024;
const maxSteps = 500;
const topKeys = ["name", "description", "inputs", "minutes", "budget", "steps"];

/**
 * Compiles a flow from YAML to the graph that the engine runs, or names every mistake with its place. The flow is null when
 * there is a problem. `file` is the flow's name in messages; `readFile` gives the prompts and schemas that it names, by a path
 * relative to the flow's folder that never leaves it, null for none. Reads nothing else and never throws for bad input.
 */
export function compileFlow(
  source: string,
  { file, readFile }: { file: string; readFile: (path: string) => string | null },
): { flow: Flow | null; problems: Problem[] } {
  const problems = new Problems();
  const flow = compile(source, { file, problems, readFile, written: [] });
  return { flow: problems.count === 0 ? flow : null, problems: problems.list(file) };
}

function compile(source: string, reading: Reading): Flow | null {
  const { file, problems } = reading;
  const start: Position = { file, line: 1, column: 1 };
  if (Buffer.byteLength(source) > maxBytes) {
    problems.add(start, `the file is larger than ${maxBytes / 1024} KB`, "put long prompts into files of their own with `prompt-file`");
    return null;
  }
  const root = locate(source, file, problems);
  if (root === null) return null;
  if (root.kind !== "map") {
    problems.add(root.at, `a flow must be a mapping, this is ${kindOf(root)}`, "begin with `name: my-flow`");
    return null;
  }
  const fields = fieldsOf(root.at, root.entries);
  refuseUnknownKeys(fields, topKeys, { name: "", problems });
  const description = fields.get("description");
  if (description !== undefined) readText({ name: "description", node: description }, problems);
  const name = readName(fields, problems);
  const inputs = readInputs(fields.get("inputs"), problems);
  const minutes = readBudget(fields, problems);
  const steps = readSteps(fields, Object.keys(inputs), reading);
  return withHash({ name, inputs, minutes, steps });
}

function readName(fields: Fields, problems: Problems): string {
  const node = fields.get("name");
  if (node === undefined) problems.add(fields.at, "the flow has no name", "add `name: my-flow`");
  const name = node === undefined ? null : readText({ name: "name", node }, problems, 63);
  if (node !== undefined && name !== null && !/^[a-z0-9][a-z0-9-]*$/.test(name)) {
    problems.add(node.at, `${quoted(name)} cannot be the name of a flow`, "use small letters, digits and -");
  }
  return name ?? "";
}

const types: readonly string[] = ["string", "number", "boolean", "object", "array"] satisfies FlowInput["type"][];
const isType = (text: string): text is FlowInput["type"] => types.includes(text);

function readInputs(node: Located | undefined, problems: Problems): Record<string, FlowInput> {
  const fields =
    node === undefined ? null : readMap({ name: "inputs", node }, problems, "write it as `inputs: { issue: { type: string } }`");
  const inputs: Record<string, FlowInput> = {};
  for (const [name, { at, value }] of fields?.entries ?? []) {
    if (!/^[A-Za-z_][A-Za-z0-9_-]{0,62}$/.test(name))
      problems.add(at, `${quoted(name)} cannot be the name of an input`, "use letters, digits, _ and -");
    else if (isAllowedKey(name, at, problems)) inputs[name] = readInput(`inputs.${name}`, value, problems);
  }
  return inputs;
}

function readInput(name: string, node: Located, problems: Problems): FlowInput {
  const fields = readMap({ name, node }, problems, "write it as `{ type: string }`");
  if (!fields) return { type: "string" };
  refuseUnknownKeys(fields, ["type", "default", "description"], { name, problems });
  const { type, preset, description } = { type: fields.get("type"), preset: fields.get("default"), description: fields.get("description") };
  const text = type === undefined ? "string" : readText({ name: `${name}.type`, node: type }, problems);
  if (type !== undefined && text !== null && !isType(text)) {
    problems.add(type.at, `there is no type ${quoted(text)}`, suggest(text, types, `the types are: ${types.join(", ")}`));
  }
  const input: FlowInput = { type: text !== null && isType(text) ? text : "string" };
  const about = description === undefined ? null : readText({ name: `${name}.description`, node: description }, problems);
  if (about !== null) input.description = about;
  if (preset === undefined) return input;
  input.default = plainOf(preset, problems);
  const given = Array.isArray(input.default) ? "array" : input.default === null ? "null" : typeof input.default;
  if (given !== input.type) problems.add(preset.at, `the default of ${quoted(name)} must be of type ${input.type}, this is ${given}`, null);
  else if (JSON.stringify(input.default).includes("${{"))
    problems.add(preset.at, `the default of ${quoted(name)} cannot have expressions`, null);
  return input;
}

/** Wall time of the run, as `minutes` or `budget: { minutes }`. */
function readBudget(fields: Fields, problems: Problems): number | null {
  const node = fields.get("budget");
  const minutes = readMinutes(fields.get("minutes"), problems);
  const budget = node === undefined ? null : readMap({ name: "budget", node }, problems, "write it as `budget: { minutes: 45 }`");
  if (!budget) return minutes;
  const usd = budget.entries.get("usd");
  if (usd)
    problems.add(
      usd.at,
      "`budget.usd` is not available in this version: nothing would stop at it",
      "leave it out; budgets in money come later",
    );
  refuseUnknownKeys(budget, ["minutes", "usd"], { name: "budget", problems });
  const inner = readMinutes(budget.get("minutes"), problems, "budget.minutes");
  if (inner !== null && fields.entries.has("minutes")) {
    problems.add(budget.placeOf("minutes"), "`minutes` and `budget.minutes` say the same twice", "remove one of them");
  }
  return inner ?? minutes;
}

function readSteps(fields: Fields, inputs: string[], reading: Reading): FlowStep[] {
  const { problems } = reading;
  const node = fields.get("steps");
  if (node === undefined) problems.add(fields.at, "the flow has no steps", "add `steps:` with a list");
  else if (node.kind !== "list")
    problems.add(node.at, `\`steps\` must be a list, this is ${kindOf(node)}`, "begin each step with `- id: name`");
  else if (node.items.length === 0) problems.add(node.at, "the flow has no steps", "begin each step with `- id: name`");
  else if (node.items.length > maxSteps)
    problems.add(node.at, `a flow has at most ${maxSteps} steps, this one has ${node.items.length}`, "use `each` for steps that are alike");
  if (node?.kind !== "list" || node.items.length > maxSteps) return [];
  const written = node.items.map((item, index) => readStep(item, index, reading));
  const needs = readOrder(written, problems);
  checkSteps(written, needs, { inputs, reading });
  return written.flatMap(({ id, make, at, if: condition }) =>
    id && make ? [make({ id: id.text, needs: needs.get(id.text) ?? [], if: condition, at })] : [],
  );
}

/** What each step waits for: what it says, else the step before it. Names doubled ids and needs that are no steps. */
function readOrder(written: readonly WrittenStep[], problems: Problems): Map<string, string[]> {
  const ids = idsOf(written, problems);
  const needs = new Map<string, string[]>();
  for (const [index, step] of written.entries()) {
    if (!step.id || needs.has(step.id.text)) continue;
    const before = written[index - 1]?.id?.text;
    const own = step.needs?.filter((need) => isStep(need, ids, problems)).map(({ text }) => text);
    needs.set(step.id.text, own ?? (before === undefined ? [] : [before]));
  }
  return needs;
}

function idsOf(written: readonly WrittenStep[], problems: Problems): Set<string> {
  const ids = new Map<string, Position>();
  for (const { id } of written) {
    const first = id && ids.get(id.text);
    if (first)
      problems.add(id.at, `the id ${quoted(id.text)} is given twice, first in line ${first.line}`, "give one of them another name");
    else if (id) ids.set(id.text, id.at);
  }
  return new Set(ids.keys());
}

function isStep({ text, at }: Mention, ids: ReadonlySet<string>, problems: Problems): boolean {
  if (ids.has(text)) return true;
  problems.add(at, `there is no step ${quoted(text)}`, suggest(text, ids, `the steps are: ${[...ids].slice(0, 20).join(", ")}`));
  return false;
}

/** All that can be said only when every step is known: circles, and names of steps, inputs and values. */
function checkSteps(
  written: readonly WrittenStep[],
  needs: Map<string, string[]>,
  { inputs, reading }: { inputs: string[]; reading: Reading },
): void {
  const { problems } = reading;
  const cycles = findCycles(needs);
  for (const cycle of cycles) {
    const at = written.find(({ id }) => id?.text === cycle[0])?.at;
    if (at)
      problems.add(
        at,
        `the steps wait for each other: ${cycle.join(" -> ")}`,
        "change their `needs`; a step without it waits for the step before it",
      );
  }
  // In a circle, or beside a step without a name, nobody can say what comes before what.
  const isOrdered = cycles.length === 0 && written.every(({ id }) => id !== null);
  const names: Names = {
    inputs,
    ids: written.map(({ id }) => id?.text ?? null),
    kinds: new Map(written.flatMap(({ id, kind }) => (id && kind ? [[id.text, kind] as const] : []))),
    ancestors: isOrdered ? new Map([...needs.keys()].map((step) => [step, ancestorsOf(step, needs)])) : null,
    problems,
  };
  checkNames(reading.written, names);
  for (const step of written) {
    for (const mention of step.merge) checkSource(step, mention, { verb: "merge", names });
    if (step.from) checkSource(step, step.from, { verb: "from", names });
  }
}

/** `merge` and `from` take the change that a step made. */
function checkSource(step: WrittenStep, source: Mention, { verb, names }: { verb: "merge" | "from"; names: Names }): void {
  const { problems, kinds, ancestors } = names;
  if (!isStep(source, new Set(names.ids.filter((id) => id !== null)), problems)) return;
  const kind = kinds.get(source.text);
  const own = step.id?.text;
  if (kind === "ask" || (verb === "merge" && kind === "merge"))
    problems.add(source.at, `${quoted(verb)}: step ${quoted(source.text)} makes no change, it is ${quoted(kind)}`, null);
  else if (verb === "from" && kind === "each") {
    problems.add(
      source.at,
      `\`from\`: ${quoted(source.text)} is a group, its items have a change each`,
      "merge the group first, later steps then work on the result",
    );
  } else if (own !== undefined && ancestors?.get(own)?.has(source.text) === false) {
    problems.add(
      source.at,
      `the change of ${quoted(source.text)} is not known here: ${quoted(own)} does not wait for it`,
      `add ${source.text} to the needs of ${own}`,
    );
  }
}

/** Two files that mean the same graph have the same hash, wherever its parts stand. */
function withHash(flow: Omit<Flow, "hash">): Flow {
  const steps = flow.steps.map(({ at: _at, ...step }) => step);
  return {
    ...flow,
    hash: createHash("sha256")
      .update(sortedJson({ ...flow, steps }))
      .digest("hex"),
  };
}

function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${sortedJson(item)}`).join(",")}}`;
}
