import { Command, CommanderError } from "commander";
import { AppError, toAppError } from "../../errors.ts";
import { version } from "../../version.ts";
import { addDerivedVerbs } from "./derived.ts";
import { printError } from "./output.ts";
import { addAgentVerbs } from "./verbs/agents.ts";
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
    .option("--json", "machine-readable output on stdout, one object")
    .showSuggestionAfterError(true)
    .addHelpText("after", `\n${exitCodes}`)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  addWorkVerbs(program);
  addShowVerbs(program);
  addAgentVerbs(program);
  addServerVerbs(program);
  addDerivedVerbs(program);
  for (const command of everyCommand(program)) command.exitOverride().configureOutput({ outputError: () => undefined });
  return program;
}

const everyCommand = (command: Command): Command[] => command.commands.flatMap((child) => [child, ...everyCommand(child)]);

export const wantsJson = (command: Command): boolean => command.optsWithGlobals<{ json?: boolean }>().json === true;

/** Runs one command line; answers its exit code. Errors go to stderr as the one error object, or in words. */
export async function runProgram(argv: string[]): Promise<number> {
  const json = argv.includes("--json");
  try {
    await makeProgram().parseAsync(argv, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      const message = error.message.replace(/^error: /, "");
      if (error.code !== "commander.help") printError(new AppError("invalid_input", message, { fix: ["tutti --help"] }), null, json);
      return 2;
    }
    const known = toAppError(error);
    printError(known, error, json);
    return known.exitCode;
  }
}
