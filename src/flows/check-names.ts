import { usesOf } from "./expression.ts";
import type { FlowStep, Position } from "./flow.ts";
import { quoted, type Text } from "./locate.ts";
import type { Problems } from "./problems.ts";
import type { Scope, Written } from "./read-values.ts";
import { suggest } from "./suggest.ts";

/** What is known when the whole file was read. */
export interface Names {
  inputs: readonly string[];
  /** By their place in the file; null where a step has no usable id. */
  ids: readonly (string | null)[];
  kinds: ReadonlyMap<string, FlowStep["kind"]>;
  /** The steps that have ended before the step begins; null: the needs themselves are wrong. */
  ancestors: ReadonlyMap<string, ReadonlySet<string>> | null;
  problems: Problems;
}

/** Roots that are known somewhere, and where. */
const elsewhere: Record<string, string> = {
  with: "in a step that has `with`, outside of `with`, `if`, `each` and `fold` themselves",
  items: "in the prompt and the values of `fold`",
  index: "in the items of `each`",
};
const fields = ["state", "output", "outputs", "answer", "files", "commit"];
const runFields = ["id", "flow"];

/** Names every name in the expressions that means nothing there. */
export function checkNames(written: readonly Written[], names: Names): void {
  for (const { template, text, scope } of written) {
    let from = 0;
    for (const part of template) {
      if (names.problems.areMany) return;
      if (typeof part === "string") continue;
      const start = text.value.indexOf(part.cel, text.value.indexOf("${{", from) + 3);
      from = start + part.cel.length;
      for (const use of usesOf(part.cel)) checkUse(use.path, placeLater(text, start + use.at), { scope, names });
    }
  }
}

/** Finding a place costs a walk through the text; most uses are right and need none. */
const placeLater = (text: Text, offset: number) => (): Position => text.placeOf(offset);

interface Within {
  scope: Scope;
  names: Names;
}

function checkUse(path: readonly string[], at: () => Position, within: Within): void {
  const { scope, names } = within;
  const [root = "", member] = path;
  if (root === "steps") return checkStep(path, at, within);
  if (root === "inputs") return checkMember(root, member, names.inputs, at, names.problems);
  if (root === "run") return checkMember(root, member, runFields, at, names.problems);
  if (root === "with" && scope.with !== null) return checkMember(root, member, scope.with, at, names.problems);
  if (!scope.roots.includes(root)) refuseRoot(root, at(), within);
}

function checkMember(root: string, member: string | undefined, known: readonly string[], at: () => Position, problems: Problems): void {
  if (member === undefined || known.includes(member)) return;
  const all = known.length === 0 ? `nothing is declared in ${quoted(root)}` : `there are: ${known.join(", ")}`;
  problems.add(at(), `${quoted(`${root}.${member}`)} is not known`, suggest(member, known, all));
}

function refuseRoot(root: string, at: Position, { scope, names }: Within): void {
  const known = ["inputs", "steps", "run", ...scope.roots, ...(scope.with === null ? [] : ["with"])];
  const where = Object.hasOwn(elsewhere, root) ? elsewhere[root] : undefined;
  if (where !== undefined) return names.problems.add(at, `${quoted(root)} is not known here`, `it is known ${where}`);
  if (root === "env")
    return names.problems.add(at, "`env` is not known in expressions", "give the value in `with` and name it as `with.x`");
  const fix = names.ids.includes(root)
    ? `write \`steps.${root}\``
    : names.inputs.includes(root)
      ? `write \`inputs.${root}\``
      : suggest(root, known, `the names are: ${known.join(", ")}`);
  names.problems.add(at, `${quoted(root)} is not known`, fix);
}

function checkStep(path: readonly string[], at: () => Position, within: Within): void {
  const { names, scope } = within;
  const [, id, field] = path;
  if (id === undefined)
    return names.problems.add(at(), "`steps` must be followed by the name of a step", 'write steps.name or steps["name"]');
  if (!names.ids.includes(id)) return names.problems.add(at(), `there is no step ${quoted(id)}`, likelyStep(id, names));
  const own = names.ids[scope.step];
  if (own === id) return names.problems.add(at(), `step ${quoted(id)} cannot read its own result`, null);
  if (typeof own === "string" && names.ancestors?.get(own)?.has(id) === false) {
    return names.problems.add(
      at(),
      `the result of ${quoted(id)} is not known here: ${quoted(own)} does not wait for it`,
      `add ${id} to the needs of ${own}`,
    );
  }
  if (field !== undefined) checkField(id, field, at, names);
}

function likelyStep(id: string, names: Names): string | null {
  const known = names.ids.filter((known) => known !== null);
  const dashed = known.find((known) => known.startsWith(`${id}-`));
  if (dashed !== undefined) return `write steps["${dashed}"]: a "-" outside of quotes means minus`;
  return suggest(id, known, known.length === 0 ? null : `the steps are: ${known.slice(0, 20).join(", ")}`);
}

function checkField(id: string, field: string, at: () => Position, { kinds, problems }: Names): void {
  const kind = kinds.get(id);
  if (!fields.includes(field))
    problems.add(at(), `a step has no ${quoted(field)}`, suggest(field, fields, `there are: ${fields.join(", ")}`));
  else if (kind === "each" && (field === "output" || field === "commit")) {
    problems.add(
      at(),
      `${quoted(id)} is a group, it has no single ${field}`,
      `write steps.${id}.outputs: a list with the output of each item that was done`,
    );
  } else if (kind !== undefined && kind !== "each" && field === "outputs") {
    problems.add(at(), `${quoted(id)} is no group, it has one output`, `write steps.${id}.output`);
  } else if (kind !== undefined && kind !== "ask" && field === "answer") {
    problems.add(at(), `${quoted(id)} asks nobody, it has no answer`, `write steps.${id}.output`);
  }
}
