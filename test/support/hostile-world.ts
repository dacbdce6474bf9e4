import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isTerminal, type State } from "../../src/tasks/task.ts";
import { hostileNames, hostileStrings, type Hostile } from "./hostile-strings.ts";
import { makeRepository, root, until, type Tutti } from "./tutti.ts";

/** Where hostile text has got to, by ids. */
export interface HostileWorld {
  project: string;
  /** A task whose agent said all of it, with a check that printed all of it. */
  said: string;
  /** The same, and its check did not pass. */
  failed: string;
  babbling: string;
  flood: string;
  /** All of it was its prompt, and its answer. */
  echo: string;
  /** One task for each string, with it as prompt and title; they wait for the babbling one. */
  prompts: string[];
  /** Tasks whose agents ask, their questions, and the one of a flow. */
  asking: string[];
  approvals: string[];
  question: string;
  askingRun: string;
  failedRun: string;
}

/** As it stands in the repository on which the agent works: that is what a sandboxed session sees. */
const agentFile = (name: string): string => readFileSync(join(root, "test/support", name), "utf8");
/** So many strings are in one question; the agent counts by the same number. */
const perQuestion = 13;
export const stringsOfQuestion = (index: number): Hostile[] => hostileStrings.slice(index * perQuestion, (index + 1) * perQuestion);

const strings = hostileStrings.map(({ text }) => text);

/** Much is said here, and other tests may be running. */
const longMs = 180_000;

/** Prints everything as it is. */
const print = `import { readFileSync } from "node:fs";
for (const text of JSON.parse(readFileSync(new URL("hostile-agent/hostile.json", import.meta.url), "utf8")).strings) console.log(text);
`;

const flow = `name: hostile
steps:
  - id: say
    agent: hostile
    prompt: say
  - id: shown
    ask:
      question: "Is it right? \${{ steps.say.output }}"
      show: { text: "\${{ steps.say.output }}", files: "\${{ steps.say.files }}" }
`;
const broken = `name: broken
steps:
  - id: print
    run: node agent/print.mjs; node agent/print.mjs >&2; exit 3
`;

/** Lets a real agent put every hostile string wherever an agent's text can get to. */
export async function makeHostileWorld({ client }: Tutti, folder: string): Promise<HostileWorld> {
  const repository = makeRepository(join(folder, "<img src=x onerror=pwned=1>"), {
    "README.md": "A shop.\n",
    "agent/package.json": '{ "type": "module" }\n',
    "agent/acp-agents/wire.ts": agentFile("acp-agents/wire.ts"),
    "agent/hostile-agent/main.ts": agentFile("hostile-agent/main.ts"),
    "agent/hostile-agent/hostile.json": JSON.stringify({ strings, names: hostileNames, perQuestion }),
    "agent/print.mjs": print,
  });
  const project = (await client.command("project.create", { folder: repository, settings: { limit: 12 } })).id;
  const command = [process.execPath, "agent/hostile-agent/main.ts"];
  const agent = (name: string, backend: "acp" | "command", settings: { command: string[]; permissions?: "ask" }) =>
    client.command("agent.create", { name, backend, limit: 12, settings });
  await agent("hostile", "acp", { command });
  await agent("asking", "acp", { command, permissions: "ask" });
  // Its answer is its prompt.
  await agent("echo", "command", { command: ["/bin/cat"] });
  const task = async (prompt: string, more: { agent?: string; check?: { run: string; retry: number }; needs?: string[] } = {}) =>
    (await client.command("task.create", { project, prompt, agent: "hostile", ...more })).id;
  const inState = (id: string, state: State) =>
    until(
      `${id} to be ${state}`,
      async () => {
        const now = await client.query("task.get", { id });
        if (isTerminal(now.state) && now.state !== state) throw new Error(`${id} is ${now.state}: ${now.message}`);
        return now.state === state;
      },
      longMs,
    );

  const babbling = await task("babble");
  const said = await task("say", { check: { run: "node agent/print.mjs", retry: 0 } });
  const failed = await task("say", { check: { run: "node agent/print.mjs; exit 1", retry: 0 } });
  const askingRun = (await client.command("run.create", { project, source: flow })).id;
  const failedRun = (await client.command("run.create", { project, source: broken })).id;
  const asking = await Promise.all(
    Array.from({ length: Math.ceil(strings.length / perQuestion) }, (_, number) => task(`ask ${number}`, { agent: "asking" })),
  );
  const flood = await task("flood");
  // What no store can keep is refused at the door; an agent that says it is another matter.
  const storable = strings.filter((text) => !text.includes("\0"));
  const echo = await task(storable.join("\n\n"), { agent: "echo" });
  const prompts: string[] = [];
  for (const text of storable) prompts.push(await task(text, { needs: [babbling] }));
  await Promise.all([
    ...[said, flood, echo].map((id) => inState(id, "done")),
    ...asking.map((id) => inState(id, "needs you")),
    inState(failed, "failed"),
    inState(babbling, "running"),
    until(
      "the runs",
      async () => {
        const [one, other] = await Promise.all([askingRun, failedRun].map((id) => client.query("run.get", { id })));
        return one?.state === "needs you" && other?.state === "failed";
      },
      longMs,
    ),
  ]);
  const open = (await client.query("approval.list", { state: "open", limit: 100 })).items;
  const question = open.find(({ run }) => run === askingRun)?.id ?? "";
  const approvals = asking.map((id) => open.find((approval) => approval.task === id)?.id ?? "");
  return { project, said, failed, babbling, flood, echo, prompts, asking, approvals, question, askingRun, failedRun };
}
