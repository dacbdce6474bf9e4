import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { Command, Option } from "commander";
import { z } from "zod";
import { entries } from "../../commands.ts";
import { invalidInput } from "../../errors.ts";
import type { Entry } from "../../registry.ts";
import type { OpenClient } from "../client.ts";
import { connect } from "./connect.ts";
import { idOf, wantsJson } from "./options.ts";
import { note, plain, print, shownValue, table, oneLine, printRecord } from "./output.ts";

/**
 * Every entry of the registry is a verb: `tutti <noun> <verb>`, its fields as options, made from its schema. The everyday
 * verbs (run, ls, show ...) are shorter ways written by hand; a verb that is there already is not made again. Answers the nouns.
 */
export function addDerivedVerbs(program: Command): string[] {
  const nouns = new Set<string>();
  for (const entry of entries as readonly Entry[]) {
    const [noun = "", verb = ""] = entry.name.split(".");
    const parent = parentOf(program, noun);
    nouns.add(parent.name());
    if (parent.commands.some((command) => command.name() === verb)) continue;
    addVerb(parent.command(verb).description(entry.help), entry);
  }
  return [...nouns].toSorted();
}

/** A verb that takes words of its own cannot have verbs below it: in `tutti run list the files` "list" is the prompt. Its entries are under `runs`. */
function parentOf(program: Command, noun: string): Command {
  const own = program.commands.find((command) => command.name() === noun);
  if (own && own.registeredArguments.length === 0) return own;
  const name = own ? `${noun}s` : noun;
  return (
    program.commands.find((command) => command.name() === name) ??
    program.command(name, { hidden: true }).description(`every command about ${noun}s`)
  );
}

interface Property {
  type?: string | string[];
  description?: string;
  enum?: unknown[];
}

function addVerb(command: Command, entry: Entry): void {
  const schema = z.toJSONSchema(entry.input, { io: "input", unrepresentable: "any" }) as {
    properties?: Record<string, Property>;
    required?: string[];
  };
  const properties = schema.properties ?? {};
  const positional = entry.cli?.args ?? (schema.required ?? []).filter((name) => name === "id" || name === "name");
  for (const name of positional) command.argument(`<${name}>`, properties[name]?.description ?? "");
  for (const [name, property] of Object.entries(properties)) {
    if (positional.includes(name)) continue;
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    const shape = property.type === "boolean" ? flag : `${flag} <${typeName(property)}>`;
    command.addOption(new Option(shape, property.description ?? ""));
  }
  command.action(async (...all: unknown[]) => {
    const self = all.at(-1);
    if (!(self instanceof Command)) return;
    const input = Object.fromEntries([
      ...positional.map((name, index) => [name, valueOf(name, String(all[index]), properties[name])]),
      ...Object.entries(self.opts<Record<string, string | boolean>>()).map(([name, value]) => [
        name,
        valueOf(name, value, properties[name]),
      ]),
    ]) as Record<string, unknown>;
    await call(entry, input, wantsJson(self));
  });
}

const typeName = ({ type }: Property): string => (Array.isArray(type) ? type.join("|") : (type ?? "json"));

const ids = ["id", "task", "run", "session"];

/** Text as the field wants it: numbers, lists and objects are JSON. Throws AppError invalid_input. */
export function valueOf(name: string, given: string | boolean, property: Property | undefined): unknown {
  if (typeof given === "boolean") return given;
  const value = ids.includes(name) ? idOf(given) : given;
  const types = [property?.type ?? []].flat();
  if (types.length === 0 ? !/^[[{]/.test(value) : types.includes("string")) return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    throw invalidInput(`--${name} must be ${types.join(" or ")}`, `"${value}" is not`, ["lists and objects are written as JSON"]);
  }
}

async function call(entry: Entry, input: Record<string, unknown>, json: boolean): Promise<void> {
  const client = (await connect()) as unknown as OpenClient;
  switch (entry.kind) {
    case "command":
      return printResult(await client.command(entry.name, input, { key: randomUUID() }), entry, json);
    case "query":
      return printResult(await client.query(entry.name, input), entry, json);
    case "stream":
      for await (const { data } of client.follow(entry.name, input)) print(json ? JSON.stringify(data) : plain(JSON.stringify(data)));
      return;
    case "blob":
      for await (const chunk of (await client.blob(entry.name, input)).body) await write(chunk);
  }
}

/** A terminal gets text that cannot steer it; a file or a pipe gets the bytes. */
async function write(chunk: Uint8Array): Promise<void> {
  const { stdout } = process;
  if (!stdout.write(stdout.isTTY ? plain(Buffer.from(chunk).toString()) : chunk)) await once(stdout, "drain");
}

function printResult(result: unknown, entry: Entry, json: boolean): void {
  if (json || result === null || typeof result !== "object") return print(JSON.stringify(result));
  if (!("items" in result) || !Array.isArray(result.items)) return printRecord(result, false);
  const rows = result.items as Record<string, unknown>[];
  const names = entry.cli?.columns ?? Object.keys(rows[0] ?? {}).slice(0, 6);
  if (rows.length === 0) note("nothing");
  else
    print(
      table(
        rows,
        names.map((name) => ({ title: titleOf(name), value: (row) => oneLine(shownValue(name, row[name] ?? "")) })),
      ),
    );
  if ("next" in result && typeof result.next === "string") note(`there is more: --cursor ${result.next}`);
}

/** createdAt -> CREATED-AT */
const titleOf = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter}`).toUpperCase();
