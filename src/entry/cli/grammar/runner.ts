import type { Command } from "commander";
import { wantsJson } from "../options.ts";

const verbs = () => import("../verbs/runner.ts");

const collect = (value: string, before: string[]): string[] => [...before, value];

/** A runner as a process of its own, which outlives its server. */
export function addRunnerVerbs(program: Command): void {
  const runner = program
    .command("runner")
    .description("drive agents' sessions in a process of its own, which a server's restart does not stop")
    .option("--server <url>", "a server to work for, may be given several times; otherwise the one of this data folder", collect, [])
    .option("--capacity <attempts>", "the most attempts at once")
    .option("--lease <seconds>", "how long it may be silent before its work is given to others", "30")
    .option("--grace <seconds>", "how long what runs may take to end when the runner is stopped", "30")
    .action(async (options: { server: string[]; capacity?: string; lease: string; grace: string }) => (await verbs()).runner(options));
  runner
    .command("stop")
    .description("stop the runner of this data folder: it takes nothing new, and what runs gets its grace")
    .action(async (_options: unknown, command: Command) => (await verbs()).stopRunner(wantsJson(command)));
  runner
    .command("token")
    .description("make the token of a runner with a data folder of its own; it is shown once")
    .argument("<name>", "the runner's name")
    .action(async (name: string, _options: unknown, command: Command) => (await verbs()).runnerToken(name, wantsJson(command)));
}
