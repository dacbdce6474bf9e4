import { Option, type Command } from "commander";
import type { BackendKind } from "../../../agents/agent.ts";
import { collect, listViewOf, wantsJson, withListOptions } from "../options.ts";

const protocols = ["openai", "anthropic", "google"] as const;

const setup = () => import("../verbs/setup.ts");
const list = () => import("../verbs/list.ts");

/** What work needs: agents, model providers, projects, tokens. */
export function addSetupVerbs(program: Command): void {
  addAgents(withListOptions(program.command("agents").description("who can work here")));
  addProviders(withListOptions(program.command("providers").description("where models are")));
  addProjects(withListOptions(program.command("projects").description("the repositories that agents work on")));
  addTokens(program.command("token").description("tokens of people; agents get their own for each session"));
}

function addAgents(agents: Command): void {
  agents.action(async (_options: unknown, command: Command) =>
    (await list()).ls("agents", { limit: "500" }, listViewOf(command), wantsJson(command)),
  );
  agents
    .command("add")
    .description("add an agent")
    .argument("<name>")
    .addOption(new Option("--backend <kind>", "how it is reached").choices(["acp", "command", "model"]).makeOptionMandatory())
    .option("--preset <name>", "acp: a program that Tutti knows, e.g. goose or opencode")
    .option("--command <word>", "the program and each of its arguments; repeatable; {prompt} stands for the prompt", collect, [])
    .option("--provider <name>", "model: where its models are (tutti providers)")
    .option("--model <name>")
    .option("--role <role>")
    .option("--skill <skill>", "repeatable", collect, [])
    .option("--limit <n>", "sessions at once", "4")
    .addOption(
      new Option("--credentials <kind>", "vendor: the program's own login; key: the provider's, through the server").choices([
        "vendor",
        "key",
        "none",
      ]),
    )
    .option("--ask", "ask a person for every permission")
    .action(async (name: string, options: AgentOptions, command: Command) => (await setup()).addAgent(name, options, wantsJson(command)));
  agents
    .command("remove")
    .argument("<name>")
    .description("remove an agent")
    .action(async (name: string, _options: unknown, command: Command) => (await setup()).removeAgent(name, wantsJson(command)));
}

function addProviders(providers: Command): void {
  providers.action(async (_options: unknown, command: Command) => (await list()).providers(listViewOf(command), wantsJson(command)));
  providers
    .command("set")
    .argument("<name>")
    .addOption(new Option("--protocol <name>", "the language spoken there; openai when only an address is given").choices(protocols))
    .option("--base-url <url>", "its address (of OpenAI's protocol with /v1); the vendor's own when left out")
    .requiredOption("--model <name>")
    .option("--key-stdin", "read the key from standard input; it never leaves the server")
    .description("add or change a provider")
    .action(async (name: string, options: ProviderOptions, command: Command) =>
      (await setup()).setProvider(name, options, wantsJson(command)),
    );
  providers
    .command("remove")
    .argument("<name>")
    .description("remove a provider and its key")
    .action(async (name: string, _options: unknown, command: Command) => (await setup()).removeProvider(name, wantsJson(command)));
}

function addProjects(projects: Command): void {
  projects.action(async (_options: unknown, command: Command) =>
    (await list()).ls("projects", { limit: "500" }, listViewOf(command), wantsJson(command)),
  );
  projects
    .command("add")
    .argument("[folder]", "a git repository", ".")
    .option("--branch <name>", "the branch that work starts from and returns to")
    .description("add a repository")
    .action(async (folder: string, options: { branch?: string }, command: Command) =>
      (await setup()).addProject(folder, options, wantsJson(command)),
    );
  projects
    .command("update")
    .argument("<id>")
    .addOption(new Option("--sandbox <kind>", "none: agents see the whole machine").choices(["default", "none"]))
    .option("--setup <command>", "runs once in each new clone")
    .option("--limit <n>", "attempts at once")
    .description("change a project's settings")
    .action(async (id: string, options: ProjectOptions, command: Command) =>
      (await setup()).updateProject(id, options, wantsJson(command)),
    );
}

function addTokens(token: Command): void {
  token
    .command("create")
    .argument("<name>", "who or what it is for")
    .addOption(new Option("--scope <scope>", "what it may be used for; repeatable; all of it when left out").argParser(collect).default([]))
    .description("make a token; it is shown once")
    .action(async (name: string, options: { scope: string[] }, command: Command) =>
      (await setup()).createToken(name, options, wantsJson(command)),
    );
  withListOptions(token.command("ls").description("tokens that were made")).action(async (_options: unknown, command: Command) =>
    (await list()).tokens(listViewOf(command), wantsJson(command)),
  );
  token
    .command("revoke")
    .argument("<id>")
    .description("end a token; in effect within 5 seconds")
    .action(async (id: string, _options: unknown, command: Command) => (await setup()).revokeToken(id, wantsJson(command)));
}

export interface AgentOptions {
  backend: BackendKind;
  preset?: string;
  command: string[];
  provider?: string;
  model?: string;
  role?: string;
  skill: string[];
  limit: string;
  credentials?: "vendor" | "key" | "none";
  ask?: boolean;
}

export interface ProviderOptions {
  protocol?: (typeof protocols)[number];
  baseUrl?: string;
  model: string;
  keyStdin?: boolean;
}

export interface ProjectOptions {
  sandbox?: "default" | "none";
  setup?: string;
  limit?: string;
}
