import type { Command } from "commander";
import { collect, wantsJson } from "../options.ts";

const work = () => import("../verbs/work.ts");

/** Making and steering work: run, merge, approve, deny, reply, stop, retry. */
export function addWorkVerbs(program: Command): void {
  program
    .command("run")
    .description("give an agent a task in this folder's repository; its work becomes a branch")
    .argument("<prompt...>", "what to do")
    .option("--agent <name>", "this agent; otherwise the one that fits best")
    .option("--project <folder>", "the repository", ".")
    .option("--check <command>", "a command that must pass, e.g. 'npm test'")
    .option("--retry <n>", "how often the agent may try again when the check fails", "1")
    .option("--minutes <n>", "wall time for one attempt")
    .option("--include-dirty", "start from the uncommitted work too")
    .option("--detach", "do not wait; print the task's id")
    .option("--no-wait-approval", "end with exit code 6 when a person has to decide something")
    .option("--key <key>", "idempotency key: the same key makes the same task")
    .action(async (prompt: string[], options: RunOptions, command: Command) =>
      (await work()).run(prompt.join(" "), options, wantsJson(command)),
    );
  const flow = program.command("flow").description("check and run flows");
  flow
    .command("lint")
    .description("every mistake with file, line and column; exit code 5 when there are any")
    .argument("<file>")
    .action(async (file: string, _options: unknown, command: Command) => (await import("../verbs/flow.ts")).lint(file, wantsJson(command)));
  flow
    .command("run")
    .description("run a flow in this folder's repository")
    .argument("<file>")
    .option("--project <folder>", "the repository", ".")
    .option("--input <name=value>", "an input of the flow; repeatable", collect, [])
    .option("--agent <name=agent>", "an agent that stands in for a name in the flow; repeatable", collect, [])
    .option("--detach", "do not wait; print the run's id")
    .option("--key <key>", "idempotency key: the same key makes the same run")
    .action(async (file: string, options: FlowOptions, command: Command) =>
      (await import("../verbs/flow.ts")).runFlow(file, options, wantsJson(command)),
    );
  program
    .command("approve")
    .description("say yes to a question, or to what an agent wants to do")
    .argument("<approval>")
    .option("--comment <text>")
    .action(async (id: string, options: { comment?: string }, command: Command) =>
      (await work()).answer(id, "yes", options, wantsJson(command)),
    );
  program
    .command("deny")
    .description("say no")
    .argument("<approval>")
    .option("--comment <text>")
    .action(async (id: string, options: { comment?: string }, command: Command) =>
      (await work()).answer(id, "no", options, wantsJson(command)),
    );
  program
    .command("reply")
    .description("answer a question in words, or say something more to a finished task's agent")
    .argument("<id>", "A-1 or T-1")
    .argument("<text...>")
    .action(async (id: string, words: string[], _options: unknown, command: Command) =>
      (await work()).reply(id, words.join(" "), wantsJson(command)),
    );
  program
    .command("merge")
    .description("merge a finished task's change into a branch of your repository")
    .argument("<task>")
    .option("--into <branch>", "the branch; otherwise the project's base branch")
    .option("--check <command>", "must pass on the merged tree first")
    .action(async (id: string, options: { into?: string; check?: string }, command: Command) =>
      (await work()).merge(id, options, wantsJson(command)),
    );
  program
    .command("stop")
    .description("stop a task or a run, or everything with --all")
    .argument("[id]", "T-1 or R-1")
    .option("--all", "every task and run that has not ended")
    .action(async (id: string | undefined, options: { all?: boolean }, command: Command) =>
      (await work()).stop(id, options, wantsJson(command)),
    );
  program
    .command("retry")
    .description("another attempt for a failed or stopped task or run")
    .argument("<id>", "T-1 or R-1")
    .action(async (id: string, _options: unknown, command: Command) => (await work()).retry(id, wantsJson(command)));
}

export interface RunOptions {
  agent?: string;
  project: string;
  check?: string;
  retry: string;
  minutes?: string;
  includeDirty?: boolean;
  detach?: boolean;
  waitApproval: boolean;
  key?: string;
}

export interface FlowOptions {
  project: string;
  input: string[];
  agent: string[];
  detach?: boolean;
  key?: string;
}
