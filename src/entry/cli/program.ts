import { Command, CommanderError, Option } from "commander";
import { invalidInput, toAppError, type AppError } from "../../errors.ts";
import { nearest } from "../../flows/suggest.ts";
import { version } from "../../version.ts";
import { addLookVerbs } from "./grammar/look.ts";
import { addRunnerVerbs } from "./grammar/runner.ts";
import { addServerVerbs } from "./grammar/server.ts";
import { addSetupVerbs } from "./grammar/setup.ts";
import { addWorkVerbs } from "./grammar/work.ts";
import { print, printError, setColours, setFields, shellWord } from "./output.ts";
import { addExplainVerb } from "./verbs/explain.ts";
import { addMcpVerbs } from "./verbs/mcp.ts";

const exitCodes = `Exit codes:
  0 done              1 the work failed      2 usage              3 not found, ambiguous
  4 not allowed       5 check failed         6 waits for a person 7 budget or quota
  8 timed out         9 conflict            10 server not reachable  11 store damaged
  130 interrupted`;

const colourChoices = ["auto", "always", "never"] as const;

/**
 * The everyday verbs as they are written by hand. Light: what a verb does is loaded when it is called, so that help and completion
 * come at once.
 */
export function makeProgram(): Command {
  const program = new Command("tutti")
    .description('Runs teams of AI agents on real repositories.\n\n  tutti run "fix the failing test"\n  tutti status')
    .version(version)
    .option("--json", "machine-readable output on stdout, one object; --json=id,state only these fields; errors as {error} on stderr")
    .addOption(new Option("--color <when>", "colours: always, never, or as the terminal has them").choices(colourChoices))
    .helpCommand(false)
    .showSuggestionAfterError(true);
  const groups: [string, (program: Command) => void][] = [
    ["Work:", addWorkVerbs],
    ["Look:", addLookVerbs],
    ["Set up:", addSetupVerbs],
    ["Server and command line:", addServerVerbs],
    ["Server and command line:", addRunnerVerbs],
    ["Server and command line:", addExplainVerb],
    ["Other programs:", addMcpVerbs],
  ];
  for (const [heading, add] of groups) add(program.commandsGroup(heading));
  program
    .command("help")
    .argument("[topic...]", "a verb, exit-codes, or api")
    .description("what a verb does and takes")
    .action(async (topic: string[]) => await help(program, topic));
  program.addHelpText("after", `\nEverything of the API is a verb too, e.g. tutti task list --state done: tutti help api\n\n${exitCodes}`);
  return program;
}

/** The verbs written by hand and those of the whole API. */
export async function makeWholeProgram(): Promise<{ program: Command; nouns: string[] }> {
  const { addDerivedVerbs } = await import("./derived.ts");
  const program = makeProgram();
  return { program, nouns: addDerivedVerbs(program) };
}

/** Whether these words name a verb that is written by hand: then the API's need not be made. */
export function isHandWritten(program: Command, words: readonly string[]): boolean {
  let at = program;
  for (const word of words) {
    if (at.commands.length === 0) return true;
    const next = at.commands.find((command) => command.name() === word);
    if (!next) return false;
    // What `help api` needs it makes itself.
    if (next.name() === "help") return words[1] === "api" || isHandWritten(program, words.slice(1));
    at = next;
  }
  return true;
}

/** The words that are no options, up to the first `--`. A value of an option that stands before the verb is none of them. */
export function verbWords(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  const given = end < 0 ? argv : argv.slice(0, end);
  return given.filter((word, index) => !word.startsWith("-") && given[index - 1] !== "--color");
}

const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

/** Throws AppError invalid_input for what there is no help about. */
async function help(program: Command, topic: string[]): Promise<void> {
  if (topic.join(" ") === "exit-codes") return print(exitCodes);
  if (topic.join(" ") === "api") return await apiHelp();
  let found = program;
  for (const word of topic) {
    const next = found.commands.find((command) => command.name() === word);
    if (!next) {
      const meant = nearest(word, ["exit-codes", "api", ...found.commands.map((command) => command.name())]);
      throw invalidInput(`there is no help about "${topic.join(" ")}"`, undefined, [meant ? `tutti help ${meant}` : "tutti --help"]);
    }
    found = next;
  }
  found.outputHelp();
}

async function apiHelp(): Promise<void> {
  const { entries } = await import("../../commands.ts");
  const { program, nouns } = await makeWholeProgram();
  const longest = Math.max(...entries.map((entry) => entry.name.length));
  for (const noun of nouns) {
    for (const verb of program.commands.find((command) => command.name() === noun)?.commands ?? []) {
      print(`  ${`${noun} ${verb.name()}`.padEnd(longest + 1)}  ${verb.description()}`);
    }
  }
}

/** Runs one command line; answers its exit code. Errors go to stderr as the one error object, or in words. */
export async function runProgram(given: string[]): Promise<number> {
  const { argv, json } = readGlobal(given);
  try {
    await (await programFor(argv)).parseAsync(argv, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // Without a verb commander has shown the help already.
      if (error.code !== "commander.help") printError(usageError(error, argv), null, json);
      return 2;
    }
    const known = toAppError(error);
    printError(known, error, json);
    return known.exitCode;
  }
}

/** What is the same for every verb. `--json=a,b` becomes `--json`, which commander knows; the fields are kept for the output. */
function readGlobal(given: string[]): { argv: string[]; json: boolean } {
  const end = given.includes("--") ? given.indexOf("--") : given.length;
  const argv = given.map((word, index) => {
    if (index >= end || !word.startsWith("--json=")) return word;
    setFields(word.slice("--json=".length).split(",").filter(Boolean));
    return "--json";
  });
  const before = argv.slice(0, end);
  const colour = before.flatMap((word, index) =>
    word.startsWith("--color=") ? [word.slice(8)] : word === "--color" ? [before[index + 1]] : [],
  );
  setColours(colourChoices.find((choice) => choice === colour.at(-1)) ?? "auto");
  return { argv, json: before.includes("--json") };
}

async function programFor(argv: readonly string[]): Promise<Command> {
  const light = makeProgram();
  const program = isHandWritten(light, verbWords(argv)) ? light : (await makeWholeProgram()).program;
  for (const command of everyCommand(program)) {
    command
      .helpCommand(false)
      .exitOverride()
      .configureOutput({ outputError: () => undefined });
  }
  return program;
}

/** Commander's words as our error: its "(Did you mean x?)" is the fix, the rest one line. */
function usageError(error: CommanderError, argv: string[]): AppError {
  const [message = "", hint = ""] = error.message.replace(/^error: /, "").split("\n");
  const meant = /\(Did you mean (?:one of )?([^?]*)\?\)/.exec(hint)?.[1]?.split(", ") ?? [];
  const wrong = /'([^']*)'/.exec(message)?.[1];
  const at = wrong === undefined ? -1 : argv.indexOf(wrong);
  const fixes = meant.map((word) =>
    ["tutti", ...(at < 0 ? [word] : [...argv.slice(0, at), word, ...argv.slice(at + 1)].map(shellWord))].join(" "),
  );
  const verb = argv.find((word) => !word.startsWith("-"));
  const knows = verb !== undefined && error.code !== "commander.unknownCommand";
  return invalidInput(message, undefined, fixes.length > 0 ? fixes : [knows ? `tutti ${verb} --help` : "tutti --help"]);
}
