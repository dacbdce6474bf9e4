import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { looksLikeReference } from "../artifacts/artifact.ts";
import { NotJson, readJson, type Reading } from "./read-json.ts";

/**
 * What an agent answers when it was asked for JSON. Models wrap it in prose and fences and make small mistakes of form: those
 * are repaired and named. Nothing is ever invented, coerced or dropped: an answer of which a part is missing goes back.
 */

/** Longer answers are refused unread. In UTF-16 units. */
const maxAnswer = 4_000_000;
/** Patterns of a schema are matched against texts of at most this length: their engine may need very long for long ones. */
const maxPatternText = 2_000;
const maxProblems = 20;

export type Output = { ok: true; value: unknown; repaired: string[] } | { ok: false; problems: string[] };

/**
 * The JSON value in an agent's answer: the whole text, else the last fenced block that holds JSON, else the first value in the
 * text that fits. `repaired` names each mistake of form that was mended; `problems` say what to do better, for `repairPrompt`.
 */
export function readOutput(text: string, schema: Record<string, unknown>): Output {
  if (text.length > maxAnswer) return { ok: false, problems: [`the answer is longer than ${maxAnswer} characters`] };
  const validate = validatorOf(schema);
  if ("fault" in validate) return { ok: false, problems: [`the schema itself is wrong: ${validate.fault}`] };
  const judge = (reading: Reading): Output => {
    const problems = problemsOf(validate, reading.value);
    // A step that is given it would be given that artifact, whosever it is.
    if (looksLikeReference(reading.value)) problems.push("no property may be called `$artifact`: large results are made by Tutti itself");
    if (problems.length === 0) return { ok: true, value: reading.value, repaired: reading.repaired };
    return { ok: false, problems: reading.isCut ? [cutOff, ...problems] : problems };
  };
  return (
    ofWhole(text, judge) ?? ofFences(text, judge) ?? ofProse(text, judge) ?? { ok: false, problems: ["there is no JSON in the answer"] }
  );
}

const cutOff = "the answer is cut off before its end";

type Judge = (reading: Reading) => Output;

/** null: the text as a whole is not meant as JSON. */
function ofWhole(text: string, judge: Judge): Output | null {
  const reading = readJson(text, 0, { toEnd: true });
  if (!(reading instanceof NotJson)) return judge(reading);
  return reading.isCut && reading.members > 0 && /^\s*[[{]/.test(text) ? { ok: false, problems: [reading.message] } : null;
}

/** The last block wins: what stands before it may be a draft. A last block that is meant as JSON and is broken is not passed over. */
function ofFences(text: string, judge: Judge): Output | null {
  for (const { info, content } of fencesIn(text).toReversed()) {
    const reading = readJson(content, 0, { toEnd: true });
    const isJson = /^(?:json|jsonc|json5)$/i.test(info);
    if (reading instanceof NotJson) {
      if (isJson || (info === "" && reading.members > 0))
        return { ok: false, problems: [`the last JSON block cannot be read: ${reading.message}`] };
      continue;
    }
    const output = judge(reading);
    if (output.ok ? isJson || info === "" || isContainer(reading.value) : isJson || info === "") return output;
  }
  return null;
}

const isContainer = (value: unknown): boolean => typeof value === "object" && value !== null;

function fencesIn(text: string): { info: string; content: string }[] {
  const fences: { info: string; content: string }[] = [];
  let open: { mark: string; info: string; lines: string[] } | null = null;
  for (const line of text.split("\n")) {
    const [, mark, info = ""] = /^[ \t]*(`{3,}|~{3,})[ \t]*([^`\r]*?)[ \t]*\r?$/.exec(line) ?? [];
    if (open && mark?.startsWith(open.mark) && info === "") {
      fences.push({ info: open.info, content: open.lines.join("\n") });
      open = null;
    } else if (open) open.lines.push(line);
    else if (mark !== undefined) open = { mark, info: info.split(/\s/, 1)[0] ?? "", lines: [] };
  }
  if (open) fences.push({ info: open.info, content: open.lines.join("\n") });
  return fences;
}

/** The first value among other text that fits; when none does, the first one's problems. */
function ofProse(text: string, judge: Judge): Output | null {
  let first: Output | null = null;
  let at = 0;
  // A text of nothing but open brackets must not cost its square; an honest one is read about once.
  let budget = 2 * text.length + 500_000;
  for (;;) {
    const start = nextBracket(text, at);
    if (start === -1 || budget < 0) return first;
    const reading = readJson(text, start, { toEnd: false });
    budget -= reading.end - start + 20;
    if (reading instanceof NotJson) {
      // A value that began well and is broken is the answer; its parts are not. Only lists are common in prose: [1, 2 and 3].
      const isBroken = reading.members > 0 && (reading.isCut || text[start] === "{");
      if (isBroken) return first ?? { ok: false, problems: [reading.message] };
      at = reading.members > 0 ? endOfBrackets(text, start) : start + 1;
      continue;
    }
    const output = judge(reading);
    budget -= 500;
    if (output.ok || reading.isCut) return output;
    first ??= output;
    at = reading.end;
  }
}

/** After the bracket that closes the one at `start`. */
function endOfBrackets(text: string, start: number): number {
  let open = 0;
  for (let at = start; at < text.length; at += 1) {
    const char = text[at] ?? "";
    if ("[{".includes(char)) open += 1;
    if ("]}".includes(char)) open -= 1;
    if (open === 0) return at + 1;
  }
  return text.length;
}

function nextBracket(text: string, from: number): number {
  const brace = text.indexOf("{", from);
  const bracket = text.indexOf("[", from);
  return brace === -1 || bracket === -1 ? Math.max(brace, bracket) : Math.min(brace, bracket);
}

/** What is appended to a prompt so that the agent answers with JSON that fits. */
export const outputInstructions = (schema: Record<string, unknown>): string =>
  [
    "When your work is done, end your last message with one JSON value that fits the JSON Schema below.",
    "Put it into a ```json block and write nothing after it. Give every required property; add none that the schema does not name.",
    "```json",
    JSON.stringify(schema, null, 2),
    "```",
  ].join("\n");

/** What an agent is told when its answer could not be used. */
export const repairPrompt = (problems: string[]): string =>
  [
    "Your last answer could not be used:",
    ...problems.map((problem) => `- ${problem}`),
    "Answer again with the whole JSON value, not only the part that was wrong. Your work in the files is kept; do not repeat it.",
  ].join("\n");

// ---- Schemas

export interface SchemaFault {
  /** What is wrong with the schema. */
  fault: string;
  /** Where in the schema. */
  path: (string | number)[];
}

/** What is wrong with a JSON Schema (draft 7 or 2020-12); null: nothing. Schemas from elsewhere (`$ref` to an address) are refused. */
export function schemaFault(schema: Record<string, unknown>): SchemaFault | null {
  const validate = validatorOf(schema);
  return "fault" in validate ? validate : null;
}

// Compiling takes milliseconds and the same few schemas are used again and again.
const compiled = new Map<string, ValidateFunction | SchemaFault>();

function validatorOf(schema: Record<string, unknown>): ValidateFunction | SchemaFault {
  const key = JSON.stringify(schema);
  const found = compiled.get(key);
  if (found !== undefined) return found;
  const validate = compileSchema(schema);
  const [oldest] = compiled.keys();
  if (compiled.size >= 200 && oldest !== undefined) compiled.delete(oldest);
  compiled.set(key, validate);
  return validate;
}

function compileSchema(schema: Record<string, unknown>): ValidateFunction | SchemaFault {
  if ("$async" in schema) return { fault: "`$async` is not available", path: ["$async"] };
  // An instance of its own for each schema, so that equal `$id`s do not meet.
  const Version = typeof schema.$schema === "string" && schema.$schema.includes("2020-12") ? Ajv2020 : Ajv;
  const ajv = new Version({ strict: false, allErrors: true, validateFormats: false, logger: false, code: { regExp: boundedPattern } });
  try {
    return ajv.compile(schema);
  } catch (error) {
    const [first] = ajv.errors ?? [];
    if (!first) return { fault: error instanceof Error ? error.message : String(error), path: [] };
    return { fault: messageOf(first), path: first.instancePath.split("/").slice(1).map(unescapePointer) };
  }
}

const unescapePointer = (part: string): string => part.replaceAll("~1", "/").replaceAll("~0", "~");

/** JavaScript's patterns can take for ever: those that can take exponentially long are refused, and long texts are not matched. */
function boundedPattern(pattern: string, flags: string): { test(text: string): boolean; toString(): string } {
  if (repeatsWithinRepeat(pattern)) {
    throw new Error(`the pattern ${JSON.stringify(pattern)} repeats a group that repeats or chooses by itself, which can take for ever`);
  }
  const expression = new RegExp(pattern, flags);
  return {
    test(text) {
      if (text.length <= maxPatternText) return expression.test(text);
      throw new TextTooLong(`a text is longer than ${maxPatternText} characters, too long for the pattern ${JSON.stringify(pattern)}`);
    },
    // The validator tells patterns apart by this.
    toString: () => String(expression),
  };
}
boundedPattern.code = "boundedPattern";

class TextTooLong extends Error {}

function repeatsWithinRepeat(pattern: string): boolean {
  const groups = [{ repeats: false }];
  const parts = pattern.match(/\\.|\[(?:\\.|[^\]\\])*\]|\(|\)|[*+|]|\{\d+,?\d*\}|./gs) ?? [];
  for (const [index, part] of parts.entries()) {
    const inner = groups.at(-1);
    if (part === "(") groups.push({ repeats: false });
    else if (part === ")" && groups.length > 1) {
      const group = groups.pop();
      const isRepeated = /^(?:[*+]|\{\d+,?\d*\})$/.test(parts[index + 1] ?? "");
      if (group?.repeats && isRepeated) return true;
      const outer = groups.at(-1);
      if (outer && group?.repeats) outer.repeats = true;
    } else if (inner && (/^[*+|]$/.test(part) || /^\{\d+,/.test(part) || (part === "?" && parts[index - 1] !== "("))) inner.repeats = true;
  }
  return false;
}

function problemsOf(validate: ValidateFunction, value: unknown): string[] {
  try {
    if (validate(value)) return [];
  } catch (error) {
    if (error instanceof TextTooLong) return [error.message];
    throw error;
  }
  const messages = [...new Set((validate.errors ?? []).map(messageOf))];
  const more = messages.length - maxProblems;
  return more > 0 ? [...messages.slice(0, maxProblems), `and ${more} more`] : messages;
}

function messageOf({ instancePath, keyword, params, message }: ErrorObject): string {
  const place = instancePath === "" ? "the value" : instancePath;
  const detail = params as Record<string, unknown>;
  switch (keyword) {
    case "additionalProperties":
      return `${place} must not have the property "${String(detail.additionalProperty)}"`;
    case "enum":
      return `${place} must be one of ${JSON.stringify(detail.allowedValues).slice(0, 500)}`;
    case "const":
      return `${place} must be ${JSON.stringify(detail.allowedValue).slice(0, 500)}`;
    default:
      return `${place} ${message ?? `does not fit "${keyword}"`}`;
  }
}
