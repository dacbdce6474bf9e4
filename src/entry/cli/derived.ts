import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { Command, Option } from "commander";
import { z } from "zod";
import { entries } from "../../commands.ts";
import { invalidInput } from "../../errors.ts";
import type { Entry } from "../../registry.ts";
import type { OpenClient } from "../client.ts";
import { connect } from "./connect.ts";
import { idOf, listViewOf, wantsJson, withListOptions } from "./options.ts";
import { jsonText, note, plain, print, printJson, shownValue, table, oneLine, printRecord, type Column, type ListView } from "./output.ts";

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
  if (isList(entry)) withListOptions(command);
  command.action(async (...all: unknown[]) => {
    const self = all.at(-1);
    if (!(self instanceof Command)) return;
    const given = Object.entries(self.opts<Record<string, string | boolean>>()).filter(([name]) => Object.hasOwn(properties, name));
    const input = Object.fromEntries([
      ...positional.map((name, index) => [name, valueOf(name, String(all[index]), properties[name])]),
      ...given.map(([name, value]) => [name, valueOf(name, value, properties[name])]),
    ]) as Record<string, unknown>;
    await call(entry, input, listViewOf(self), wantsJson(self));
  });
}

const isList = (entry: Entry): boolean => entry.kind === "query" && entry.output instanceof z.ZodObject && "items" in entry.output.shape;

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

async function call(entry: Entry, input: Record<string, unknown>, view: ListView, json: boolean): Promise<void> {
  const client = (await connect()).client as unknown as OpenClient;
  switch (entry.kind) {
    case "command":
      return printResult(await client.command(entry.name, input, { key: randomUUID() }), entry, view, json);
    case "query":
      return printResult(await client.query(entry.name, input), entry, view, json);
    case "stream":
      for await (const { data } of client.follow(entry.name, input)) {
        if (json) printJson(data);
        else print(plain(JSON.stringify(data)));
      }
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

function printResult(result: unknown, entry: Entry, view: ListView, json: boolean): void {
  if (json) return printJson(result);
  if (result === null || typeof result !== "object") return print(jsonText(result));
  if (!("items" in result) || !Array.isArray(result.items)) return printRecord(result, false);
  const rows = result.items as Record<string, unknown>[];
  const every = Object.keys(rows[0] ?? {});
  const usual = entry.cli?.columns ?? every.slice(0, 6);
  const names = [...usual, ...every.filter((name) => !usual.includes(name))];
  if (rows.length === 0) note("nothing");
  else
    print(
      table(
        rows,
        names.map((name) => columnOf(name, !usual.includes(name))),
        view,
      ),
    );
  if ("next" in result && typeof result.next === "string") note(`there is more: --cursor ${result.next}`);
}

const columnOf = (name: string, wide: boolean): Column<Record<string, unknown>> => ({
  title: titleOf(name),
  value: (row) => oneLine(shownValue(name, row[name] ?? "")),
  wide,
});

/** createdAt -> CREATED-AT */
const titleOf = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter}`).toUpperCase();
