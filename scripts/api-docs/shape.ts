import { refTo, type Schema } from "../../src/entry/openapi/schemas.ts";

/** JSON Schema in words: a type as TypeScript would write it, and what else is known about a value. */
const nameOf = (ref: string): string => ref.slice(refTo("").length);

/** `Task[]`, `"a" | "b"`, `{ ok: boolean }` */
export function typeOf(schema: Schema): string {
  const { $ref, type, enum: choices, anyOf, oneOf, allOf, items, properties, additionalProperties } = schema;
  if (typeof $ref === "string") return nameOf($ref);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(choices)) return choices.map((choice) => JSON.stringify(choice)).join(" | ");
  for (const union of [anyOf, oneOf]) if (Array.isArray(union)) return [...new Set(union.map((one: Schema) => typeOf(one)))].join(" | ");
  if (Array.isArray(allOf)) return allOf.map((one: Schema) => typeOf(one)).join(" & ");
  if (Array.isArray(type)) return type.map((one: unknown) => typeOf({ ...schema, type: one })).join(" | ");
  if (type === "array") return listOf(typeOf((items ?? {}) as Schema));
  if (type !== "object") return typeof type === "string" ? type : "any";
  if (properties) return objectOf(schema);
  return additionalProperties && typeof additionalProperties === "object"
    ? `{ [name]: ${typeOf(additionalProperties as Schema)} }`
    : "object";
}

const listOf = (type: string): string => (/[ |&]/.test(type) && !type.startsWith("{") ? `(${type})[]` : `${type}[]`);

const objectOf = (schema: Schema): string =>
  `{ ${fieldsOf(schema)
    .map(({ name, isRequired, schema: inner }) => `${name}${isRequired ? "" : "?"}: ${typeOf(inner)}`)
    .join(", ")} }`;

export interface Field {
  name: string;
  isRequired: boolean;
  schema: Schema;
}

/** The fields of an object's schema. */
export function fieldsOf(schema: Schema): Field[] {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, Schema>; required?: string[] };
  return Object.entries(properties).map(([name, inner]) => ({ name, isRequired: required.includes(name), schema: inner }));
}

/** What the field means, its bounds and its default, in one line. */
export function noteOf({ description, default: preset, minimum, maximum, minLength, maxLength, maxItems, pattern }: Schema): string {
  const bounds = [
    typeof minimum === "number" && typeof maximum === "number"
      ? `${minimum} to ${maximum}`
      : typeof minimum === "number"
        ? `from ${minimum}`
        : "",
    typeof maxLength === "number" ? `${typeof minLength === "number" ? `${minLength} to` : "at most"} ${maxLength} letters` : "",
    typeof maxItems === "number" ? `at most ${maxItems}` : "",
    typeof pattern === "string" && pattern.length <= 60 ? `fits ${code(pattern)}` : "",
    preset === undefined ? "" : `default ${code(JSON.stringify(preset))}`,
  ].filter((bound) => bound !== "");
  const [words, limits] = [typeof description === "string" ? prose(description) : "", bounds.join("; ")];
  return words && limits ? `${words} (${limits})` : words || limits;
}

/** A code span, also for a text that holds a backtick. */
export const code = (text: string): string => (text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``);

/** Words as Markdown shows them: `<name>` outside of a code span is no tag. */
export const prose = (text: string): string =>
  text
    .split(/(`[^`]*`)/)
    .map((part, index) => (index % 2 === 1 ? part : part.replaceAll("<", "\\<")))
    .join("");

export const table = (titles: string[], rows: string[][]): string =>
  [titles, titles.map(() => "---"), ...rows.map((row) => row.map(cell))].map((row) => `| ${row.join(" | ")} |`).join("\n");

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ");
