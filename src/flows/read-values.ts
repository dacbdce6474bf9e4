import { isSingle, parseTemplate, typeOf } from "./expression.ts";
import type { Template, Value } from "./flow.ts";
import type { Located, Text } from "./locate.ts";
import { quoted } from "./locate.ts";
import type { Problems } from "./problems.ts";
import { finite, isAllowedKey, kindOf, mayCopy, newCopying, type Named } from "./read-fields.ts";

/** Which names an expression may use, known before the whole flow is read. */
export interface Scope {
  /** The step, by its place in the file. */
  step: number;
  /** Beside `inputs`, `steps` and `run`. */
  roots: readonly string[];
  /** The names of the step's `with`; null: `with` is not known here. */
  with: readonly string[] | null;
}

/** A template whose names are checked when all steps are known. */
export interface Written {
  template: Template;
  text: Text;
  scope: Scope;
}

export interface Reading {
  file: string;
  problems: Problems;
  readFile: (path: string) => string | null;
  /** Every template of the flow. */
  written: Written[];
}

/** Text with expressions. Null: it is none, and a problem says so. */
export function readTemplate({ name, node }: Named, scope: Scope, reading: Reading): Template | null {
  if (node.kind !== "scalar" || node.value === null) {
    reading.problems.add(node.at, `${quoted(name)} must be text, this is ${kindOf(node)}`, null);
    return null;
  }
  return readTemplateText(node.text, scope, reading);
}

/** As readTemplate, of text from anywhere. */
export function readTemplateText(text: Text, scope: Scope, reading: Reading): Template | null {
  if (reading.problems.areMany) return null;
  const template = parseTemplate(text.value);
  if (!Array.isArray(template)) {
    reading.problems.add(text.placeOf(template.offset), template.error, null);
    return null;
  }
  reading.written.push({ template, text, scope });
  return template;
}

/** A template of exactly one expression, whose type must be one of those given as far as it is known. */
export function readExpression(
  { name, node }: Named,
  types: readonly string[],
  { scope, reading }: { scope: Scope; reading: Reading },
): Template | null {
  const { problems } = reading;
  if (node.kind !== "scalar" || node.value === null) {
    problems.add(node.at, `${quoted(name)} must be an expression, this is ${kindOf(node)}`, `write it as "\${{ ... }}"`);
    return null;
  }
  const template = readTemplateText(node.text, scope, reading);
  if (template === null) return null;
  const [part] = template;
  if (!isSingle(template) || part === undefined || typeof part === "string") {
    const text = node.text.value.includes("${{") ? "${{ ... }}" : `\${{ ${node.text.value} }}`;
    problems.add(node.at, `${quoted(name)} must be one expression and nothing else`, `write it as "${text}"`);
    return null;
  }
  const type = typeOf(part.cel).replace(/<.*/s, "");
  if (type === "dyn" || types.includes(type)) return template;
  problems.add(node.text.placeOf(0), `${quoted(name)} must be ${types.join(" or ")}, this expression is ${type}`, null);
  return null;
}

/** Any value, with templates in its texts. */
export const readValue = (node: Located, scope: Scope, reading: Reading): Value => valueOf(node, newCopying(node.at), { scope, reading });

function valueOf(node: Located, copying: ReturnType<typeof newCopying>, within: { scope: Scope; reading: Reading }): Value {
  const { problems } = within.reading;
  if (!mayCopy(copying, problems)) return { plain: null };
  if (node.kind === "list") return { list: node.items.map((item) => valueOf(item, copying, within)) };
  if (node.kind === "map") {
    const entries = [...node.entries].filter(([key, entry]) => isAllowedKey(key, entry.at, problems));
    return { map: Object.fromEntries(entries.map(([key, entry]) => [key, valueOf(entry.value, copying, within)])) };
  }
  if (typeof node.value !== "string" || !node.value.includes("${{")) return { plain: finite(node, problems) };
  return { template: readTemplateText(node.text, within.scope, within.reading) ?? [] };
}
