import { Option, type Command } from "commander";
import { listViewOf, wantsJson, withListOptions } from "../options.ts";

const server = () => import("../verbs/server.ts");

/** The server itself and this program: up, down, open, doctor, backup, restore, verify, config, completion. */
export function addServerVerbs(program: Command): void {
  program
    .command("up")
    .description("start the server in the background")
    .option("--foreground", "stay in this terminal until ctrl-c")
    .addOption(
      new Option("--runner <kind>", "who drives agents' sessions: the server itself, or a process of its own that outlives it").choices([
        "own",
        "separate",
      ]),
    )
    .action(async (options: { foreground?: boolean; runner?: "own" | "separate" }, command: Command) =>
      (await server()).up(options, wantsJson(command)),
    );
  program
    .command("down")
    .description("stop the server; work goes on at its next start")
    .action(async (_options: unknown, command: Command) => (await server()).down(wantsJson(command)));
  program
    .command("open")
    .description("open the dashboard: a fresh link that works once, within five minutes")
    .option("--print", "only print it")
    .action(async (options: { print?: boolean }, command: Command) => (await server()).open(options, wantsJson(command)));
  program
    .command("doctor")
    .description("check what Tutti needs; exit code 5 when something is wrong")
    .argument("[area]", "only this area, e.g. server, agents, network")
    .option("--fix", "mend what can be mended without risk, and say what was done")
    .action(async (area: string | undefined, options: { fix?: boolean }, command: Command) =>
      (await import("../verbs/doctor.ts")).doctor(area, options, wantsJson(command)),
    );
  addBackupVerbs(program);
  const config = program.command("config").description("the settings, and where they come from");
  withListOptions(config.command("list"))
    .description("every value; of secrets only whether they are set")
    .option("--origin", "and where each came from")
    .action(async (options: { origin?: boolean }, command: Command) =>
      (await import("../verbs/config.ts")).listConfig(options, listViewOf(command), wantsJson(command)),
    );
  const completion = program.command("completion").description("completion for your shell: bash, zsh, fish or powershell");
  for (const shell of ["bash", "zsh", "fish", "powershell"] as const) {
    completion
      .command(shell)
      .description(`print the script for ${shell}`)
      .action(async () => (await import("../verbs/completion.ts")).printCompletion(shell));
  }
  completion
    .command("install")
    .description("add it to your shell's start file, after showing the change and asking")
    .argument("[shell]", "bash, zsh, fish or powershell; otherwise the one of $SHELL")
    .option("--yes", "do not ask")
    .action(async (shell: string | undefined, options: { yes?: boolean }, command: Command) =>
      (await import("../verbs/completion.ts")).installCompletion(shell, options, wantsJson(command)),
    );
}

function addBackupVerbs(program: Command): void {
  const backup = program.command("backup").description("write a backup of everything into a folder, while the server works");
  for (const command of [backup, backup.command("create").description("the same")]) {
    command
      .option("--to <folder>", "the folder to make; otherwise $TUTTI_HOME/backups/<time>")
      .action(async (_options: unknown, self: Command) =>
        (await import("../verbs/backup.ts")).backup(self.optsWithGlobals<{ to?: string }>(), wantsJson(self)),
      );
  }
  const verifies = [
    backup.command("verify").description("read a whole backup; exit code 5 when something is wrong").argument("<folder>"),
    program
      .command("verify")
      .description("read the whole store, or a backup; exit code 5 when something is wrong")
      .argument("[folder]", "a backup")
      .option("--accept-loss", "go on with a store that has lost something; its events say what"),
  ];
  for (const command of verifies) {
    command.action(async (folder: string | undefined, options: { acceptLoss?: boolean }, self: Command) =>
      (await import("../verbs/verify.ts")).verify(folder, options, wantsJson(self)),
    );
  }
  program
    .command("restore")
    .description("bring a backup into an empty home, with no server running")
    .argument("<folder>", "a backup")
    .action(async (folder: string, _options: unknown, self: Command) =>
      (await import("../verbs/restore.ts")).restore(folder, wantsJson(self)),
    );
}
