import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { Option, type Command } from "commander";
import type { BackendKind } from "../../../agents/agent.ts";
import { invalidInput } from "../../../errors.ts";
import { connect } from "../connect.ts";
import { collect, wantsJson, wholeNumber } from "../options.ts";
import { note, oneLine, print, table } from "../output.ts";

/** One object with --json, else one line. */
const say = (command: Command, record: object, line: string): void => print(wantsJson(command) ? JSON.stringify(record) : line);

/** What work needs: agents, model providers, projects, tokens. */
export function addAgentVerbs(program: Command): void {
  const ls = (what: string) => async (_options: unknown, command: Command) => {
    await program.parseAsync(["ls", what, ...(wantsJson(command) ? ["--json"] : [])], { from: "user" });
  };
  const agents = program.command("agents").description("who can work here").action(ls("agents"));
  agents
    .command("add")
    .description("add an agent")
    .argument("<name>")
    .addOption(new Option("--backend <kind>", "how it is reached").choices(["acp", "command", "model"]).makeOptionMandatory())
    .option("--preset <name>", "acp: goose or opencode")
    .option("--command <word>", "the program and each of its arguments; repeatable; {prompt} stands for the prompt", collect, [])
    .option("--provider <name>", "model: where its models are (tutti providers)")
    .option("--model <name>")
    .option("--role <role>")
    .option("--skill <skill>", "repeatable", collect, [])
    .option("--limit <n>", "sessions at once", "4")
    .option("--ask", "ask a person for every permission")
    .action(async (name: string, options: AgentOptions, command: Command) => {
      const { backend, preset, provider, model, role } = options;
      if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) {
        throw invalidInput(`"${oneLine(name)}" cannot be an agent's name`, "a name has lower-case letters, digits and dashes");
      }
      const agent = await (
        await connect()
      ).command(
        "agent.create",
        {
          name,
          backend,
          role: role ?? null,
          skills: options.skill,
          limit: wholeNumber("--limit", options.limit, 1),
          settings: {
            preset,
            command: options.command.length > 0 ? options.command : undefined,
            provider,
            model,
            credentials: provider && backend === "acp" ? "key" : "none",
            permissions: options.ask ? "ask" : "auto",
          },
        },
        { key: randomUUID() },
      );
      const { state, message, fix } = agent.detection;
      say(command, agent, `agent ${agent.name} added: ${state === "ready" ? "ready" : `${state}, so it gets no work yet`}`);
      if (state !== "ready") note([message, fix].flatMap((text) => (text ? [oneLine(text)] : [])).join("; "));
    });
  agents
    .command("remove")
    .argument("<name>")
    .description("remove an agent")
    .action(async (name: string, _options: unknown, command: Command) => {
      const removed = await (await connect()).command("agent.remove", { name }, { key: randomUUID() });
      say(command, removed, `agent ${removed.name} removed`);
    });

  const providers = program
    .command("providers")
    .description("where models are")
    .action(async (_options: unknown, command: Command) => {
      const { items } = await (await connect()).query("provider.list", {});
      if (wantsJson(command)) return print(JSON.stringify({ items }));
      if (items.length === 0) return note("no providers yet: tutti providers set local --base-url http://127.0.0.1:11434/v1 --model qwen3");
      return print(
        table(items, [
          { title: "NAME", value: (item) => item.name },
          { title: "MODEL", value: (item) => item.model },
          { title: "KEY", value: (item) => (item.keyName ? "kept by the server" : "none") },
          { title: "ADDRESS", value: (item) => item.baseUrl },
        ]),
      );
    });
  providers
    .command("set")
    .argument("<name>")
    .requiredOption("--base-url <url>", "an OpenAI-compatible address, with /v1")
    .requiredOption("--model <name>")
    .option("--key-stdin", "read the key from standard input; it never leaves the server")
    .description("add or change a provider")
    .action(async (name: string, options: { baseUrl: string; model: string; keyStdin?: boolean }, command: Command) => {
      const key = options.keyStdin ? (await readAll(process.stdin)).trim() : undefined;
      const { baseUrl, model } = options;
      const provider = await (await connect()).command("provider.set", { name, baseUrl, model, key }, { key: randomUUID() });
      const kept = provider.keyName ? "its key is kept by the server" : "without a key";
      say(command, provider, `provider ${provider.name}: ${oneLine(provider.model)} at ${oneLine(provider.baseUrl)}, ${kept}`);
      note(`tutti agents add <name> --backend model --provider ${provider.name}`);
    });
  providers
    .command("remove")
    .argument("<name>")
    .description("remove a provider and its key")
    .action(async (name: string, _options: unknown, command: Command) => {
      const removed = await (await connect()).command("provider.remove", { name }, { key: randomUUID() });
      say(command, removed, `provider ${removed.name} removed`);
    });

  const projects = program.command("projects").description("the repositories that agents work on").action(ls("projects"));
  projects
    .command("add")
    .argument("[folder]", "a git repository", ".")
    .option("--branch <name>", "the branch that work starts from and returns to")
    .description("add a repository")
    .action(async (folder: string, options: { branch?: string }, command: Command) => {
      const input = { folder: resolve(folder), baseBranch: options.branch };
      const project = await (await connect()).command("project.create", input);
      say(command, project, `project ${project.id}: ${oneLine(project.source)}, branch ${oneLine(project.baseBranch)}`);
    });
  projects
    .command("update")
    .argument("<id>")
    .addOption(new Option("--sandbox <kind>", "none: agents see the whole machine").choices(["default", "none"]))
    .option("--setup <command>", "runs once in each new clone")
    .option("--limit <n>", "attempts at once")
    .description("change a project's settings")
    .action(async (id: string, options: { sandbox?: "default" | "none"; setup?: string; limit?: string }, command: Command) => {
      const { sandbox, setup, limit } = options;
      const settings = {
        ...(sandbox ? { sandbox } : {}),
        ...(setup === undefined ? {} : { setup }),
        ...(limit === undefined ? {} : { limit: wholeNumber("--limit", limit, 1) }),
      };
      if (Object.keys(settings).length === 0) {
        throw invalidInput("nothing to change was named", undefined, ["tutti projects update --help", `tutti show ${id}`]);
      }
      const project = await (await connect()).command("project.update", { id, settings }, { key: randomUUID() });
      const { sandbox: kind, setup: first, limit: most } = project.settings;
      say(
        command,
        project,
        `project ${project.id}: sandbox ${kind}, set-up ${first === null ? "none" : oneLine(first)}, at most ${most} at once`,
      );
    });

  const token = program.command("token").description("tokens of people; agents get their own for each session");
  token
    .command("create")
    .argument("<name>", "who or what it is for")
    .description("make a token; it is shown once")
    .action(async (name: string, _options: unknown, command: Command) => {
      const made = await (await connect()).command("token.create", { name }, { key: randomUUID() });
      if (wantsJson(command)) print(JSON.stringify(made));
      else {
        note("keep it: it is shown only now");
        print(made.token);
      }
    });
  token
    .command("ls")
    .description("tokens that were made")
    .action(async (_options: unknown, command: Command) => {
      const { items } = await (await connect()).query("token.list", {});
      if (wantsJson(command)) return print(JSON.stringify({ items }));
      return print(
        table(items, [
          { title: "ID", value: (item) => item.id },
          { title: "KIND", value: (item) => item.kind },
          { title: "NAME", value: (item) => oneLine(item.name) },
          { title: "CREATED", value: (item) => new Date(item.createdAt).toISOString() },
          { title: "REVOKED", value: (item) => (item.revokedAt ? new Date(item.revokedAt).toISOString() : "") },
        ]),
      );
    });
  token
    .command("revoke")
    .argument("<id>")
    .description("end a token; in effect within 5 seconds")
    .action(async (id: string, _options: unknown, command: Command) => {
      const revoked = await (await connect()).command("token.revoke", { id }, { key: randomUUID() });
      say(command, revoked, `token ${revoked.id} (${oneLine(revoked.name)}) revoked`);
    });
}

interface AgentOptions {
  backend: BackendKind;
  preset?: string;
  command: string[];
  provider?: string;
  model?: string;
  role?: string;
  skill: string[];
  limit: string;
  ask?: boolean;
}
