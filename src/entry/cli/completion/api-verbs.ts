import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Option, type Command } from "commander";
import { readTerminal } from "../../../config.ts";
import { makeProgram, makeWholeProgram } from "../program.ts";

/** What completion needs to know of the verbs that are made of the API. */
interface ApiVerb {
  noun: string;
  verb: string;
  about: string;
  arguments: string[];
  options: { flags: string; about: string }[];
}

interface Kept {
  stamp: string;
  verbs: ApiVerb[];
}

const sourceFolder = fileURLToPath(new URL("../../../", import.meta.url));

/**
 * The program with the API's verbs. Making them loads the whole API, which takes several times as long as a key press may: what
 * completion needs of them is kept in the person's cache folder, for as long as no source has changed.
 */
export async function programWithApi(file = join(readTerminal().cacheHome, "tutti", "api-verbs.json")): Promise<Command> {
  const stamp = stampOfSources();
  const verbs = read(file, stamp) ?? (await make(file, stamp));
  const program = makeProgram();
  for (const { noun, verb, about, arguments: names, options } of verbs) {
    const parent = program.commands.find((command) => command.name() === noun) ?? program.command(noun, { hidden: true });
    const command = parent.command(verb).description(about);
    for (const name of names) command.argument(`<${name}>`);
    for (const option of options) command.addOption(new Option(option.flags, option.about));
  }
  return program;
}

/** Names, times and sizes of everything that the API is made of. */
function stampOfSources(): string {
  const folders = readdirSync(sourceFolder, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== "entry");
  const files = folders.flatMap(({ name }) =>
    readdirSync(join(sourceFolder, name))
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(name, file)),
  );
  return ["commands.ts", ...files]
    .map((file) => {
      const { mtimeMs, size } = statSync(join(sourceFolder, file));
      return `${file} ${mtimeMs} ${size}`;
    })
    .join("\n");
}

function read(file: string, stamp: string): ApiVerb[] | null {
  try {
    const kept = JSON.parse(readFileSync(file, "utf8")) as Kept;
    return kept.stamp === stamp ? kept.verbs : null;
  } catch {
    return null; // Not there yet, or cut off: it is made anew.
  }
}

async function make(file: string, stamp: string): Promise<ApiVerb[]> {
  const light = makeProgram();
  const { program } = await makeWholeProgram();
  const verbs = program.commands.flatMap((parent) => {
    const byHand = light.commands.find((command) => command.name() === parent.name())?.commands ?? [];
    return parent.commands
      .filter((command) => !byHand.some((own) => own.name() === command.name()))
      .map((command) => verbOf(parent.name(), command));
  });
  keep(file, { stamp, verbs });
  return verbs;
}

const verbOf = (noun: string, command: Command): ApiVerb => ({
  noun,
  verb: command.name(),
  about: command.description(),
  arguments: command.registeredArguments.map((argument) => argument.name()),
  options: command.options.map(({ flags, description }) => ({ flags, about: description })),
});

/** Whole or not at all: several shells may complete at once. */
function keep(file: string, kept: Kept): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify(kept));
    renameSync(temporary, file);
  } catch {
    // A folder that cannot be written only makes the next key press slower.
  }
}
