import { parseTemplate, references } from "./expression.ts";
import type { FlowStep, Position, Template } from "./flow.ts";
import { quoted, type Located } from "./locate.ts";
import type { Problems } from "./problems.ts";
import { readDuration, readMap, readMinutes, readNumber, readText, readTexts, refuseUnknownKeys, type Fields } from "./read-fields.ts";
import { readExpression, readTemplate, readValue, type Reading, type Scope } from "./read-values.ts";
import { agentKeys, readAgentWork, readCheck, readRunWork, runKeys } from "./read-work.ts";
import { nearest, suggest } from "./suggest.ts";

/** The name of a step, where it was written. */
export interface Mention {
  text: string;
  at: Position;
}

/** What all steps have, known when all steps are. */
export type StepNode = Pick<FlowStep, "id" | "needs" | "if" | "at">;

/** A step as written: what can be known of it without the others. */
export interface WrittenStep {
  at: Position;
  id: Mention | null;
  /** Null: it waits for the step before it. */
  needs: Mention[] | null;
  if: Template | null;
  kind: FlowStep["kind"] | null;
  from: Mention | null;
  merge: Mention[];
  make: ((node: StepNode) => FlowStep) | null;
}

type Kind = FlowStep["kind"];
const verbs: Kind[] = ["agent", "run", "each", "fold", "ask", "merge"];
const laterVerbs = ["repeat", "until", "branch", "call", "wait", "emit", "arena", "try", "catch", "finally"];
const nodeKeys = ["id", "needs", "if"];
const keysOf: Record<Kind, string[]> = {
  agent: agentKeys,
  run: runKeys,
  each: ["each", "as", "parallel", "join", ...agentKeys, ...runKeys],
  fold: ["fold", ...agentKeys],
  ask: ["ask"],
  merge: ["merge", "into", "check", "minutes"],
};
const allKeys = [...new Set([...nodeKeys, ...Object.values(keysOf).flat()])];

/** Reads one step; `index` is its place among the steps. */
export function readStep(node: Located, index: number, reading: Reading): WrittenStep {
  const { problems } = reading;
  const step: WrittenStep = { at: node.at, id: null, needs: null, if: null, kind: null, from: null, merge: [], make: null };
  const fields = readMap({ name: "step", node }, problems, "write it as `- id: name` with a verb under it");
  if (!fields) return step;
  const scope: Scope = { step: index, roots: [], with: null };
  const kind = readKind(fields, problems);
  const from = fields.get("from");
  const made = kind === null ? null : makerOf[kind](fields, scope, reading);
  return {
    at: node.at,
    id: readId(fields, problems),
    needs: readNeeds(fields, problems),
    if: readIf(fields, scope, reading),
    kind,
    from: from?.kind === "scalar" && typeof from.value === "string" ? { text: from.value, at: from.at } : null,
    merge: made?.merge ?? [],
    make: made?.make ?? null,
  };
}

function readId(fields: Fields, problems: Problems): Mention | null {
  const node = fields.get("id");
  if (node === undefined) {
    problems.add(fields.at, "the step has no `id`", "add `id: name`");
    return null;
  }
  const text = readText({ name: "id", node }, problems, 1_000);
  if (text === null) return null;
  if (/^[A-Za-z_][A-Za-z0-9_-]{0,62}$/.test(text) && !["__proto__", "constructor", "prototype"].includes(text))
    return { text, at: node.at };
  problems.add(node.at, `${quoted(text)} cannot be the id of a step`, "use at most 63 letters, digits, _ and -, and a letter or _ first");
  return null;
}

function readNeeds(fields: Fields, problems: Problems): Mention[] | null {
  const node = fields.get("needs");
  if (node === undefined) return null;
  const texts = readTexts({ name: "needs", node }, problems) ?? [];
  return texts.filter(({ text }, index) => texts.findIndex((other) => other.text === text) === index);
}

function readIf(fields: Fields, scope: Scope, reading: Reading): Template | null {
  const node = fields.get("if");
  if (node === undefined) return null;
  if (node.kind === "scalar" && typeof node.value === "boolean") return [{ cel: String(node.value) }];
  return readExpression({ name: "if", node }, ["bool"], { scope, reading });
}

/** Which verb the step has, and a problem for each key that has nothing to do with it. */
function readKind(fields: Fields, problems: Problems): Kind | null {
  const given = verbs.filter((verb) => fields.entries.has(verb));
  const later = laterVerbs.filter((verb) => fields.entries.has(verb));
  for (const verb of later)
    problems.add(fields.placeOf(verb), `${quoted(verb)} is not available in this version`, `there are: ${verbs.join(", ")}`);
  const kind = given.find((verb) => verb === "each" || verb === "fold") ?? given[0] ?? null;
  const isMeant = [...fields.entries.keys()].some((key) => !allKeys.includes(key) && verbs.some((verb) => verb === nearest(key, allKeys)));
  if (kind === null && later.length === 0 && !isMeant)
    problems.add(fields.at, "the step has no verb", `give it one of: ${verbs.join(", ")}`);
  for (const verb of given) {
    if (kind === null || verb === kind || keysOf[kind].includes(verb)) continue;
    problems.add(fields.placeOf(verb), `a step has one verb, this one has ${quoted(kind)} and ${quoted(verb)}`, "make two steps of it");
  }
  refuseOtherKeys(fields, kind, problems);
  return kind;
}

function refuseOtherKeys(fields: Fields, kind: Kind | null, problems: Problems): void {
  const known = kind === null ? allKeys : [...nodeKeys, ...keysOf[kind]];
  const handled = [...known, ...verbs, ...laterVerbs];
  for (const [key, { at }] of fields.entries) {
    if (handled.includes(key)) continue;
    if (!allKeys.includes(key))
      problems.add(
        at,
        `the key ${quoted(key)} is not known in a step`,
        suggest(key, [...known, ...verbs], `the keys are: ${known.join(", ")}`),
      );
    else
      problems.add(
        at,
        `${quoted(key)} has no meaning beside ${quoted(kind ?? "")}`,
        key === "check" && kind === "run" ? runIsItsCheck : "remove it",
      );
  }
}

const runIsItsCheck = "a `run` step is its own check: it fails when its command does";

interface Made {
  make: (node: StepNode) => FlowStep;
  merge?: Mention[];
}

const makerOf: Record<Kind, (fields: Fields, scope: Scope, reading: Reading) => Made> = {
  agent(fields, scope, reading) {
    const work = readAgentWork(fields, scope, reading);
    return { make: (node) => ({ ...work, ...node }) };
  },
  run(fields, scope, reading) {
    const work = readRunWork(fields, scope, reading);
    return { make: (node) => ({ ...work, ...node }) };
  },
  each: readEach,
  fold: readFold,
  ask: readAsk,
  merge: readMerge,
};

function readEach(fields: Fields, scope: Scope, reading: Reading): Made {
  const { problems } = reading;
  const each = expressionOf(fields, "each", ["list"], { scope, reading });
  const as = readAs(fields, problems);
  const inner = { ...scope, roots: [as, "index"] };
  const { agent, run, check } = { agent: fields.get("agent"), run: fields.get("run"), check: fields.entries.get("check") };
  if (agent && run)
    problems.add(fields.placeOf("run"), "`each` has one verb for its items, this one has `agent` and `run`", "make two steps of it");
  if (!agent && !run)
    problems.add(fields.placeOf("each"), "`each` needs `agent` or `run` for its items", "add one of them to the same step");
  if (run && !agent && check) problems.add(check.at, "`check` has no meaning beside `run`", runIsItsCheck);
  const prompt = fields.entries.get("prompt") ?? fields.entries.get("prompt-file");
  if (run && !agent && prompt) problems.add(prompt.at, "a prompt has no meaning beside `run`", "remove it");
  const stdin = fields.entries.get("stdin");
  if (agent && stdin) problems.add(stdin.at, "`stdin` has no meaning beside `agent`", "give it by `with`");
  const work = run && !agent ? readRunWork(fields, inner, reading) : readAgentWork(agent ? fields : withoutPrompt(fields), inner, reading);
  const parallel = fields.get("parallel");
  const wide =
    parallel === undefined ? 4 : readNumber({ name: "parallel", node: parallel }, { least: 1, most: 1000, whole: true }, problems);
  const quorum = readJoin(fields.get("join"), problems);
  return { make: (node) => ({ kind: "each", each, as, parallel: wide ?? 4, work, quorum, ...node }) };
}

/** Without `agent` the missing verb has been named; that the prompt is missing too would be noise. */
function withoutPrompt(fields: Fields): Fields {
  const nothing: Located = { kind: "scalar", at: fields.at, value: "-", text: { value: "-", placeOf: () => fields.at } };
  return { ...fields, get: (key) => fields.get(key) ?? (key === "prompt" && !fields.entries.has("prompt-file") ? nothing : undefined) };
}

function readAs(fields: Fields, problems: Problems): string {
  const node = fields.get("as");
  if (node === undefined) return "item";
  const text = readText({ name: "as", node }, problems, 60);
  if (text === null) return "item";
  const template = /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) ? parseTemplate(`\${{ ${text} }}`) : null;
  const isFree =
    Array.isArray(template) &&
    references(template).roots.has(text) &&
    !["inputs", "steps", "run", "with", "env", "index", "items"].includes(text);
  if (!isFree) problems.add(node.at, `${quoted(text)} cannot be the name of an item`, "choose another word, of letters, digits and _");
  return isFree ? text : "item";
}

/** The engine wants done / wanted to reach this part; with `any` the first one does, however many there are. */
const any = 1e-9;

function readJoin(node: Located | undefined, problems: Problems): number {
  if (node === undefined) return 1;
  if (node.kind === "map") {
    const fields = readMap({ name: "join", node }, problems);
    if (fields) refuseUnknownKeys(fields, ["quorum"], { name: "join", problems });
    const quorum = fields?.get("quorum");
    if (quorum !== undefined)
      return readNumber({ name: "join.quorum", node: quorum }, { least: 0.001, most: 1, whole: false }, problems) ?? 1;
    if (fields?.entries.size === 0) problems.add(node.at, "`join` is empty", "write all, any or { quorum: 0.8 }");
    return 1;
  }
  const text = node.kind === "scalar" ? node.text.value : "";
  if (text === "all") return 1;
  if (text === "any") return any;
  if (text === "best") problems.add(node.at, "`join: best` is not available in this version", "write all, any or { quorum: 0.8 }");
  else
    problems.add(node.at, "`join` must be all, any or { quorum: ... }", suggest(text, ["all", "any"], "write for example { quorum: 0.8 }"));
  return 1;
}

function readFold(fields: Fields, scope: Scope, reading: Reading): Made {
  const fold = expressionOf(fields, "fold", ["list"], { scope, reading });
  if (!fields.entries.has("agent"))
    reading.problems.add(fields.placeOf("fold"), "`fold` needs an `agent`", "add `agent` and `prompt` to the same step");
  const work = readAgentWork(fields.entries.has("agent") ? fields : withoutPrompt(fields), { ...scope, roots: ["items"] }, reading);
  return { make: (node) => ({ kind: "fold", fold, work, ...node }) };
}

function expressionOf(fields: Fields, name: string, types: string[], within: { scope: Scope; reading: Reading }): Template {
  const node = fields.get(name);
  return node === undefined ? [] : (readExpression({ name, node }, types, within) ?? []);
}

const askKeys = ["who", "question", "show", "options", "timeout", "default"];

function readAsk(outer: Fields, scope: Scope, reading: Reading): Made {
  const { problems } = reading;
  const ask = outer.get("ask");
  const fields = ask === undefined ? null : readMap({ name: "ask", node: ask }, problems, 'write it as `ask: { question: "..." }`');
  if (fields) refuseUnknownKeys(fields, askKeys, { name: "ask", problems });
  const { who, question, show, timeout } = {
    who: fields?.get("who"),
    question: fields?.get("question"),
    show: fields?.get("show"),
    timeout: fields?.get("timeout"),
  };
  if (fields && !question) problems.add(fields.at, "`ask` has no question", 'add `question: "..."`');
  const options = readOptions(fields, problems);
  const body = {
    kind: "ask" as const,
    who: who === undefined ? "owner" : (readText({ name: "ask.who", node: who }, problems, 100) ?? "owner"),
    question: question === undefined ? [] : readQuestion(question, scope, reading),
    show: show === undefined ? {} : readShow(show, scope, reading),
    options,
    timeoutMs: timeout === undefined ? null : readDuration({ name: "ask.timeout", node: timeout }, problems),
    default: readDefault(fields, options, problems),
  };
  return { make: (node) => ({ ...body, ...node }) };
}

const readQuestion = (node: Located, scope: Scope, reading: Reading): Template =>
  readText({ name: "ask.question", node }, reading.problems) === null
    ? []
    : (readTemplate({ name: "ask.question", node }, scope, reading) ?? []);

function readShow(node: Located, scope: Scope, reading: Reading): (FlowStep & { kind: "ask" })["show"] {
  const value = readMap({ name: "ask.show", node }, reading.problems) ? readValue(node, scope, reading) : null;
  return value !== null && "map" in value ? value.map : {};
}

function readOptions(fields: Fields | null, problems: Problems): string[] {
  const node = fields?.get("options");
  if (node === undefined) return ["yes", "no"];
  const options = (readTexts({ name: "ask.options", node }, problems) ?? []).map(({ text }) => text);
  const isRight = node.kind === "list" && options.length >= 2 && options.length <= 20 && new Set(options).size === options.length;
  if (!isRight && (options.length > 0 || (node.kind === "list" && node.items.length === 0))) {
    problems.add(node.at, "`ask.options` must be a list of 2 to 20 different texts", "leave it out for [yes, no]");
  }
  return options;
}

function readDefault(fields: Fields | null, options: string[], problems: Problems): string | null {
  const node = fields?.get("default");
  if (node === undefined) return null;
  const text = readText({ name: "ask.default", node }, problems, 100);
  if (text !== null && options.length > 0 && !options.includes(text)) {
    problems.add(
      node.at,
      `the default ${quoted(text)} is none of the options`,
      suggest(text, options, `the options are: ${options.join(", ")}`),
    );
  }
  return text;
}

function readMerge(fields: Fields, _scope: Scope, reading: Reading): Made {
  const { problems } = reading;
  const { merge, into, check } = { merge: fields.get("merge"), into: fields.get("into"), check: fields.get("check") };
  const mentions = (merge?.kind === "list" ? merge.items : merge ? [merge] : []).map((node) => readMerged(node, problems));
  const sources = mentions.filter((mention) => mention !== null);
  if (merge?.kind === "list" && merge.items.length === 0)
    problems.add(merge.at, "`merge` names no step", 'write it as "${{ steps.name }}"');
  const twice = sources.find(({ text }, index) => sources.findIndex((other) => other.text === text) < index);
  if (twice) problems.add(twice.at, `step ${quoted(twice.text)} is merged twice`, "remove one of them");
  const body = {
    kind: "merge" as const,
    merge: sources.map(({ text }) => text),
    into: into === undefined ? null : readBranch(into, problems),
    check: check === undefined ? null : readCheck(check, problems),
    minutes: readMinutes(fields.get("minutes"), problems),
  };
  return { merge: sources, make: (node) => ({ ...body, ...node }) };
}

/** `${{ steps.x }}`: the step itself, not a value of it. */
function readMerged(node: Located, problems: Problems): Mention | null {
  const text = node.kind === "scalar" ? node.text.value.trim() : "";
  const [, dotted, quotedName] = /^\$\{\{\s*steps(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*["']([^"'\\]*)["']\s*\])\s*\}\}$/.exec(text) ?? [];
  const name = dotted ?? quotedName;
  if (name !== undefined) return { text: name, at: node.at };
  const isName = /^[A-Za-z_][A-Za-z0-9_-]*$/.test(text);
  const example = isName ? (text.includes("-") ? `steps["${text}"]` : `steps.${text}`) : "steps.name";
  problems.add(node.at, "`merge` must name steps", `write it as \${{ ${example} }}, or a list of those`);
  return null;
}

/** What git allows as the name of a branch, and no name that it could take for an option. */
function readBranch(node: Located, problems: Problems): string | null {
  const text = readText({ name: "into", node }, problems, 200);
  if (text === null) return null;
  const isWellFormed = /^[A-Za-z0-9_][A-Za-z0-9_./+@=-]*$/.test(text) && !/\.\.|\/\/|@\{|\/\.|\.lock(?:\/|$)|[./]$/.test(text);
  if (isWellFormed) return text;
  problems.add(
    node.at,
    `${quoted(text)} cannot be the name of a branch`,
    text.includes("${{") ? "expressions are not available here" : null,
  );
  return null;
}
