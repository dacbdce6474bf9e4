import { Command, CommanderError } from "commander";
import { invalidInput, toAppError, type AppError } from "../../errors.ts";
import { nearest } from "../../flows/suggest.ts";
import { version } from "../../version.ts";
import { addDerivedVerbs } from "./derived.ts";
import { print, printError, shellWord } from "./output.ts";
import { addAgentVerbs } from "./verbs/agents.ts";
import { addFlowVerbs } from "./verbs/flow.ts";
import { addServerVerbs } from "./verbs/server.ts";
import { addShowVerbs } from "./verbs/show.ts";
import { addWorkVerbs } from "./verbs/work.ts";

const exitCodes = `Exit codes:
  0 done              1 the work failed      2 usage              3 not found, ambiguous
  4 not allowed       5 check failed         6 waits for a person 7 budget or quota
  8 timed out         9 conflict            10 server not reachable  130 interrupted`;

/** The command line: each verb translates into entries of the registry and back. */
export function makeProgram(): Command {
  const program = new Command("tutti")
    .description('Runs teams of AI agents on real repositories.\n\n  tutti run "fix the failing test"\n  tutti status')
    .version(version)
    .option("--json", "machine-readable output on stdout, one object; errors as {error} on stderr")
    .helpCommand(false)
    .showSuggestionAfterError(true);
  addWorkVerbs(program);
  addFlowVerbs(program);
  addShowVerbs(program);
  addAgentVerbs(program);
  addServerVerbs(program);
  program
    .command("help")
    .argument("[topic...]", "a verb, or exit-codes")
    .description("what a verb does and takes")
    .action((topic: string[]) => help(program, topic));
  const nouns = addDerivedVerbs(program);
  program.addHelpText(
    "after",
    `\nEverything of the API is a verb too, e.g. tutti task list --state done:\n  ${nouns.join(", ")}\n\n${exitCodes}`,
  );
  for (const command of everyCommand(program)) {
    command
      .helpCommand(false)
      .exitOverride()
      .configureOutput({ outputError: () => undefined });
  }
  return program;
}

const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

/** Throws AppError invalid_input for what there is no help about. */
function help(program: Command, topic: string[]): void {
  if (topic.join(" ") === "exit-codes") return print(exitCodes);
  let found = program;
  for (const word of topic) {
    const next = found.commands.find((command) => command.name() === word);
    if (!next) {
      const meant = nearest(word, ["exit-codes", ...found.commands.map((command) => command.name())]);
      throw invalidInput(`there is no help about "${topic.join(" ")}"`, undefined, [meant ? `tutti help ${meant}` : "tutti --help"]);
    }
    found = next;
  }
  found.outputHelp();
}

/** Runs one command line; answers its exit code. Errors go to stderr as the one error object, or in words. */
export async function runProgram(argv: string[]): Promise<number> {
  const json = argv.includes("--json");
  try {
    await makeProgram().parseAsync(argv, { from: "user" });
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
