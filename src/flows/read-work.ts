import type { z } from "zod";
import { schemaFault } from "../tasks/output.ts";
import { NotJson, readJson } from "../tasks/read-json.ts";
import type { AgentSelector, Check } from "../tasks/task.ts";
import type { AgentWork, Position, RunWork, Template, Value } from "./flow.ts";
import { locate, partAt, quoted, type Located } from "./locate.ts";
import { Problems } from "./problems.ts";
import {
  isAllowedKey,
  kindOf,
  plainOf,
  readMap,
  readMinutes,
  readNumber,
  readText,
  readTexts,
  refuseUnknownKeys,
  type Fields,
  type Named,
} from "./read-fields.ts";
import { readFileBeside } from "./read-file.ts";
import { readTemplate, readTemplateText, readValue, type Reading, type Scope } from "./read-values.ts";

/*
 * The work of an agent or a command. Where something is wrong the readers note a problem and go on with an empty value, so that
 * one look finds all mistakes: a flow with problems is never used.
 */
type AgentBody = z.infer<typeof AgentWork>;
type RunBody = z.infer<typeof RunWork>;

export const commonKeys = ["with", "env", "output", "minutes", "from"];
export const agentKeys = ["agent", "prompt", "prompt-file", "check", ...commonKeys];
export const runKeys = ["run", "stdin", ...commonKeys];

/** `outer` is the scope of the step's own expressions with the names that `each` or `fold` give. */
export function readAgentWork(fields: Fields, outer: Scope, reading: Reading): AgentBody {
  const scope = innerScope(fields, outer);
  const check = fields.get("check");
  return {
    kind: "agent",
    agent: readAgent(fields.get("agent"), reading.problems),
    prompt: readPrompt(fields, scope, reading),
    ...readCommon(fields, { outer, scope, reading }),
    check: check === undefined ? null : readCheck(check, reading.problems),
  };
}

export function readRunWork(fields: Fields, outer: Scope, reading: Reading): RunBody {
  const scope = innerScope(fields, outer);
  const run = fields.get("run");
  const stdin = fields.get("stdin");
  return {
    kind: "run",
    run: run === undefined ? "" : readRun(run, scope, reading),
    ...(stdin === undefined ? {} : { stdin: readTemplate({ name: "stdin", node: stdin }, scope, reading) ?? [] }),
    ...readCommon(fields, { outer, scope, reading }),
    check: null,
  };
}

function innerScope(fields: Fields, outer: Scope): Scope {
  const given = fields.get("with");
  return { ...outer, with: given?.kind === "map" ? [...given.entries.keys()] : [] };
}

interface Scopes {
  outer: Scope;
  scope: Scope;
  reading: Reading;
}

function readCommon(fields: Fields, { outer, scope, reading }: Scopes): Pick<AgentBody, "env" | "with" | "output" | "minutes" | "from"> {
  const given = fields.get("with");
  const env = fields.get("env");
  const output = fields.get("output");
  const from = fields.get("from");
  return {
    with: given === undefined ? {} : readWith(given, outer, reading),
    env: env === undefined ? {} : readEnv(env, scope, reading),
    output: output === undefined ? null : readSchema(output, reading),
    minutes: readMinutes(fields.get("minutes"), reading.problems),
    from: from === undefined ? null : readText({ name: "from", node: from }, reading.problems, 100),
  };
}

function readAgent(node: Located | undefined, problems: Problems): AgentSelector {
  if (node === undefined) return {};
  if (node.kind !== "map") {
    const name = readText({ name: "agent", node }, problems, 100);
    return name === null ? {} : { name };
  }
  const fields = readMap({ name: "agent", node }, problems);
  if (!fields) return {};
  const sticky = fields.entries.get("sticky");
  if (sticky) problems.add(sticky.at, "`sticky` is not available in this version", "leave it out");
  refuseUnknownKeys(fields, ["name", "role", "skills", "sticky"], { name: "agent", problems });
  const selector: AgentSelector = {};
  for (const key of ["name", "role"] as const) {
    const value = fields.get(key);
    const text = value === undefined ? null : readText({ name: `agent.${key}`, node: value }, problems, 100);
    if (text !== null) selector[key] = text;
  }
  const skills = fields.get("skills");
  if (skills === undefined) return selector;
  const texts = readTexts({ name: "agent.skills", node: skills }, problems);
  if (texts && texts.length > 20) problems.add(skills.at, "`agent.skills` has more than 20 entries", null);
  return { ...selector, skills: texts?.map(({ text }) => text) ?? [] };
}

function readPrompt(fields: Fields, scope: Scope, reading: Reading): Template {
  const { problems } = reading;
  const prompt = fields.get("prompt");
  const file = fields.get("prompt-file");
  if (prompt && file) problems.add(fields.placeOf("prompt-file"), "a step has `prompt` or `prompt-file`, not both", "remove one of them");
  if (!prompt && !file)
    problems.add(fields.placeOf("agent"), "an agent needs a prompt", "add `prompt: text` or `prompt-file: prompts/name.md`");
  if (prompt) {
    const text = readText({ name: "prompt", node: prompt }, problems, 100_000);
    return text === null ? [] : (readTemplate({ name: "prompt", node: prompt }, scope, reading) ?? []);
  }
  const read = file && readFileBeside({ name: "prompt-file", node: file }, reading);
  if (!read) return [];
  if (read.text.value.trim() !== "") return readTemplateText(read.text, scope, reading) ?? [];
  problems.add(read.text.placeOf(0), "the prompt is empty", null);
  return [];
}

const injection = 'give the value by `env` and write $NAME, or make it a list: run: [program, "${{ ... }}"]';

function readRun(node: Located, scope: Scope, reading: Reading): string | Template[] {
  if (node.kind !== "list") return readCommand({ name: "run", node }, reading.problems) ?? "";
  if (node.items.length === 0) reading.problems.add(node.at, "`run` is empty", null);
  const argv = node.items.map((item, index) => readTemplate({ name: `run[${index}]`, node: item }, scope, reading) ?? []);
  refuseShellTemplate(argv, node, reading.problems);
  return argv;
}

/** A command line. It never has expressions in it: what an agent wrote would become a part of the script. */
function readCommand(named: Named, problems: Problems): string | null {
  const text = readText(named, problems);
  if (text === null || named.node.kind !== "scalar" || !text.includes("${{")) return text;
  problems.add(
    named.node.text.placeOf(text.indexOf("${{")),
    `${quoted(named.name)} is a command line: expressions are refused in it (script injection)`,
    injection,
  );
  return null;
}

/** `sh -c` with an expression in its script is the same hole by another door. */
function refuseShellTemplate(argv: Template[], node: Located & { kind: "list" }, problems: Problems): void {
  const texts = argv.map((template) => (template.length === 1 && typeof template[0] === "string" ? template[0] : null));
  if (!texts.some((text) => text !== null && /^(?:.*\/)?(?:ba|da|z|k|a|fi)?sh$/.test(text))) return;
  const flag = texts.findIndex((text) => text !== null && /^-[a-z]*c$/.test(text));
  const script = flag === -1 ? undefined : argv[flag + 1];
  const at = node.items[flag + 1]?.at ?? node.at;
  if (script?.some((part) => typeof part !== "string"))
    problems.add(at, "the script of a shell: expressions are refused in it (script injection)", injection);
}

/** `check: npm test`, or with `retry`. */
export function readCheck(node: Located, problems: Problems): Check | null {
  if (node.kind !== "map") {
    const run = readCommand({ name: "check", node }, problems);
    return run === null ? null : { run, retry: 0 };
  }
  const fields = readMap({ name: "check", node }, problems);
  if (!fields) return null;
  refuseUnknownKeys(fields, ["run", "retry"], { name: "check", problems });
  const run = fields.get("run");
  const retry = fields.get("retry");
  if (run === undefined) problems.add(node.at, "`check` has no command", "add `run: npm test`");
  const command = run === undefined ? null : readCommand({ name: "check.run", node: run }, problems);
  const times = retry === undefined ? 0 : readNumber({ name: "check.retry", node: retry }, { least: 0, most: 10, whole: true }, problems);
  return command === null ? null : { run: command, retry: times ?? 0 };
}

/** What the sandbox, the loader and the agent's own programs stand on. */
const ownNames = /^(?:TUTTI_.*|PATH|HOME|LD_.*|NODE_OPTIONS)$/i;

function readEnv(node: Located, scope: Scope, reading: Reading): Record<string, Template> {
  const fields = readMap({ name: "env", node }, reading.problems, "write it as `env: { NAME: value }`");
  const env: Record<string, Template> = {};
  for (const [name, entry] of fields?.entries ?? []) {
    if (!isEnvName(name, entry.at, reading.problems)) continue;
    env[name] = readTemplate({ name: `env.${name}`, node: entry.value }, scope, reading) ?? [];
  }
  return env;
}

function isEnvName(name: string, at: Position, problems: Problems): boolean {
  const isWellFormed = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
  if (!isWellFormed) problems.add(at, `${quoted(name)} is no name for a variable`, "use letters, digits and _");
  else if (ownNames.test(name)) problems.add(at, `the variable ${quoted(name)} cannot be set`, "choose another name");
  return isWellFormed && !ownNames.test(name) && isAllowedKey(name, at, problems);
}

function readWith(node: Located, outer: Scope, reading: Reading): Record<string, Value> {
  const fields = readMap({ name: "with", node }, reading.problems, "write it as `with: { name: value }`");
  const entries = [...(fields?.entries ?? [])].filter(([name, entry]) => isAllowedKey(name, entry.at, reading.problems));
  return Object.fromEntries(entries.map(([name, entry]) => [name, readValue(entry.value, outer, reading)]));
}

/** A JSON Schema, written in place or in a file of its own. */
function readSchema(node: Located, reading: Reading): Record<string, unknown> | null {
  const { problems } = reading;
  if (node.kind === "map") {
    const schema = plainOf(node, problems) as Record<string, unknown>;
    refuseSchema(schema, node, { problems, name: "output" });
    return schema;
  }
  if (node.kind === "list") {
    problems.add(node.at, `\`output\` must be a file or a schema, this is ${kindOf(node)}`, null);
    return null;
  }
  const read = readFileBeside({ name: "output", node }, reading);
  if (!read) return null;
  const { value } = read.text;
  try {
    const schema: unknown = JSON.parse(value);
    if (typeof schema === "object" && schema !== null && !Array.isArray(schema)) {
      // JSON is YAML, so its parts have their places too.
      const located = locate(value, read.file, new Problems());
      refuseSchema(schema as Record<string, unknown>, located ?? { ...node, at: read.text.placeOf(0) }, { problems, name: read.file });
      return schema as Record<string, unknown>;
    }
    problems.add(read.text.placeOf(0), "a schema must be an object", null);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The engine's own message often has no place.
    const reading = readJson(value, 0, { toEnd: true });
    if (reading instanceof NotJson) problems.add(read.text.placeOf(reading.end), `this is no valid JSON: ${reading.message}`, null);
    else problems.add(read.text.placeOf(0), `this is no valid JSON: ${reading.repaired.join(", ")}`, null);
  }
  return null;
}

function refuseSchema(schema: Record<string, unknown>, node: Located, { problems, name }: { problems: Problems; name: string }): void {
  const fault = schemaFault(schema);
  if (fault) problems.add(partAt(node, fault.path).at, `the schema in ${quoted(name)} is wrong: ${fault.fault}`, null);
}
