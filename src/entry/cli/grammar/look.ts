import type { Command } from "commander";
import { listViewOf, wantsJson, withListOptions } from "../options.ts";

const logs = () => import("../verbs/logs.ts");

/** Looking at what there is: status, ls, show, attach, logs, diff, events. */
export function addLookVerbs(program: Command): void {
  program
    .command("status")
    .description("what runs, what waits for you, what agents there are")
    .option("--link", "and a fresh link to the dashboard; it works once")
    .action(async (options: { link?: boolean }, command: Command) =>
      (await import("../verbs/status.ts")).status(options, wantsJson(command)),
    );
  withListOptions(
    program
      .command("ls")
      .description("list tasks, runs, approvals, agents, projects or sessions")
      .argument("[what]", "tasks, runs, approvals, agents, projects, sessions", "tasks")
      .option("--project <id>", "only this project")
      .option("--state <states>", "only these states, with commas")
      .option("--limit <n>", "how many", "50"),
  ).action(async (what: string, options: ListOptions, command: Command) =>
    (await import("../verbs/list.ts")).ls(what, options, listViewOf(command), wantsJson(command)),
  );
  program
    .command("show")
    .description("everything about a task (T-1), run (R-1), approval (A-1), session (S-1), project or agent")
    .argument("<id>")
    .action(async (id: string, _options: unknown, command: Command) => (await import("../verbs/show.ts")).show(id, wantsJson(command)));
  program
    .command("attach")
    .description("a task's conversation as it goes on; what you type is a reply, ctrl-c leaves the work alone")
    .argument("<id>", "T-1 or S-1")
    .option("--read-only", "only look: nothing that is typed is sent; q or ctrl-c leaves")
    .action(async (id: string, options: { readOnly?: boolean }, command: Command) =>
      (await import("../verbs/attach.ts")).attach(id, options, wantsJson(command)),
    );
  program
    .command("logs")
    .description("the transcript of a task or session")
    .argument("<id>", "T-1 or S-1")
    .option("-f, --follow", "go on until the work has ended")
    .action(async (id: string, options: { follow?: boolean }, command: Command) => (await logs()).logs(id, options, wantsJson(command)));
  program
    .command("diff")
    .description("what a task changed")
    .argument("<id>", "T-1")
    .action(async (id: string, _options: unknown, command: Command) => (await logs()).diff(id, wantsJson(command)));
  program
    .command("events")
    .description("what happened, in order")
    .option("--project <id>", "only this project's stream")
    .option("--task <id>")
    .option("--run <id>")
    .option("--limit <n>", "how many", "100")
    .option("-f, --follow", "go on as it happens")
    .action(async (options: EventOptions, command: Command) => (await logs()).events(options, wantsJson(command)));
}

export interface ListOptions {
  project?: string;
  state?: string;
  limit: string;
}

export interface EventOptions {
  project?: string;
  task?: string;
  run?: string;
  limit: string;
  follow?: boolean;
}
