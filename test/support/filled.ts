import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isTerminal, type State, type Task, type TaskDetails } from "../../src/tasks/task.ts";
import { makeRepository, root, until, type Tutti } from "./tutti.ts";

/** Sends a command to a server and answers its result; whoever gives it may look at each answer. */
export type Send = (command: string, input: Record<string, unknown>) => Promise<unknown>;
export type Ask = (path: string) => Promise<unknown>;

const flow = `name: greet
steps:
  - id: list
    run: [node, -p, '"[1, 2]"']
    output: { type: array }
  - id: make
    each: "\${{ steps.list.output }}"
    as: number
    run: [touch, "made-\${{ number }}.txt"]
  - id: sure
    ask: { question: "Go on?", show: { list: "\${{ steps.list.output }}" } }
`;

/**
 * Puts something of everything into an empty store: project `shop`, agents `shell` and `fixer`, provider `local`, tasks that are
 * done (T-1), failed and queued, a merge, a run R-1 that waits for a person and one that failed. Real work, done by a shell.
 * Answers the ids of the artifacts that came of it.
 */
export async function fill(server: { home: string; send: Send; ask: Ask }, folder: string): Promise<string[]> {
  const { home, send, ask } = server;
  makeRepository(join(folder, "shop"), { "README.md": "A shop.\n" });
  await send("project.create", { folder: join(folder, "shop") });
  await send("agent.create", { name: "shell", backend: "command", settings: { command: ["/bin/sh"] } });
  await send("agent.create", { name: "fixer", backend: "acp", settings: { command: ["/nowhere/agent"] }, skills: ["js"] });
  await send("provider.set", { name: "local", baseUrl: "http://127.0.0.1:1/v1", model: "none" });
  await send("token.create", { name: "phone", scopes: ["read", "approve"] });
  const task = async (prompt: string, more: Record<string, unknown> = {}): Promise<string> =>
    ((await send("task.create", { project: "shop", prompt, agent: "shell", ...more })) as Task).id;
  const over = (id: string): Promise<TaskDetails> =>
    until(`task ${id} to end`, async () => {
      const found = (await ask(`/api/tasks/${id}`)) as TaskDetails;
      return isTerminal(found.state) && found;
    });
  const first = await task("echo made; printf made > made.txt", { check: { run: "test -f made.txt" } });
  const failing = await task("printf broken > broken.txt", { check: { run: "exit 3" } });
  await task("echo later", { needs: [await task("echo never", { agent: "fixer" })] });
  await send("run.create", { project: "shop", source: flow });
  await send("run.create", { project: "shop", source: "name: broken\nsteps:\n  - id: no\n    run: exit 1\n" });
  await over(first);
  await over(((await send("task.merge", { id: first })) as Task).id);
  await over(failing);
  await until("a question", async () => ((await ask("/api/approvals?state=open")) as { items: unknown[] }).items.length > 0);
  await until("a failed run", async () => ((await ask("/api/runs?state=failed")) as { items: unknown[] }).items.length > 0);
  return readdirSync(join(home, "artifacts"), { recursive: true, encoding: "utf8" }).flatMap((path) => /[0-9a-f]{64}$/.exec(path) ?? []);
}

/** The scripted ACP agent lies in the repository itself: that is what a sandboxed session sees, wherever this clone is. */
const scriptedAgent = (...more: string[]): Record<string, string> => ({
  "agent/package.json": '{ "type": "module" }\n',
  ...Object.fromEntries(
    ["main.ts", "good.ts", "bad.ts", "wire.ts", ...more].map((name) => [
      `agent/${name}`,
      readFileSync(join(root, "test/support/acp-agents", name), "utf8"),
    ]),
  ),
});

const files = {
  "README.md": "# Shop\n\nCarts, prices, payments.\n",
  "src/charge.js": "export async function charge(cart) {\n  return gateway.charge(cart.total);\n}\n",
  "src/prices.js": "export const total = (items) => items.reduce((sum, item) => sum + item.price, 0);\n",
  "test/prices.test.js": 'import assert from "node:assert";\n',
};

const twice = `name: reindex
steps:
  - id: pages
    run: [node, -p, '"[1, 2, 3, 4]"']
    output: { type: array }
  - id: index
    each: "\${{ steps.pages.output }}"
    as: page
    run: [node, -e, "console.log('page', process.argv[1]); process.exit(process.argv[1] === '3' ? FAILS : 0)", "\${{ page }}"]
`;

/** What there is to see of each kind, by its id. */
export interface Filled {
  permission: string;
  /** The task whose agent asks for it. */
  asking: string;
  question: string;
  failed: string;
  running: string;
  queued: string;
  paused: string;
  review: string;
  merge: string;
  cancelled: string;
  failedRun: string;
  doneRun: string;
  askingRun: string;
}

/** A script of the agent `builder`; its first line is the task's title. */
const scripts = {
  permission:
    "Store the gateway's key where the tests find it\nSAY The tests read the key from a file, so I write it there.\nASK .env.test: GATEWAY=https://gateway.example",
  running: [
    "Make the checkout survive a lost connection",
    "THINK A lost answer is no failed payment: ask the gateway by the key before charging again.",
    "SAY I look at the checkout first. Then I write **one** test that loses the answer:",
    "WRITE test/lost.test.js: // the answer is lost once",
    "SLEEP",
  ],
  review: [
    "Charge a cart once, even when the customer clicks twice",
    "THINK The cart's id is the natural key.",
    "SAY A key for **each cart**, and the gateway is asked before it charges. See `src/charge.js`.",
    "WRITE src/charge.js: export const charge = (cart, key) => gateway.charge(cart.total, { key });",
    "WRITE src/key.js: export const keyOf = (cart) => `cart-${cart.id}`;",
    "SAY Both clicks now use the same key.",
  ],
  failed: ["Publish the package", "SAY I upload the package now.", "FAIL the registry refused the upload: 403, the name is taken"],
};
const onceRed = `if [ -e "$HOME/once" ]; then echo "ok: 12 tests passed"; else touch "$HOME/once"; printf 'not ok 3: a second click charges again\\n11 of 12 tests passed\\n'; exit 1; fi`;

/**
 * Puts something of everything that the dashboard shows into a server that runs the tour: agents ready and not found, a provider,
 * open questions of an agent and of a flow, tasks in every state, runs with groups. Real work of a scripted agent; answers when
 * all of it is there, and leaves some of it running. `program` is the Node.js that the scripted agent is started with.
 */
export async function fillDashboard({ client }: Tutti, folder: string, program = process.execPath): Promise<Filled> {
  makeRepository(join(folder, "shop"), { ...files, ...scriptedAgent() });
  makeRepository(join(folder, "website"), { "index.html": "<h1>Shop</h1>\n" });
  const shop = (await client.command("project.create", { folder: join(folder, "shop"), settings: { limit: 20 } })).id;
  await client.command("project.create", { folder: join(folder, "website") });
  const command = [program, "agent/main.ts", "good"];
  const acp = (name: string, settings: object, role: string | null = null) =>
    client.command("agent.create", {
      name,
      backend: "acp",
      limit: 20,
      role,
      settings: { credentials: "none", permissions: "auto", env: {}, ...settings },
    });
  await acp("builder", { command }, "developer");
  await acp("careful", { command, permissions: "ask" }, "developer");
  await acp("elsewhere", { command: ["/nowhere/agent"] });
  await client.command("agent.create", { name: "shell", backend: "command", limit: 20, settings: { command: ["/bin/sh"] } });
  await client.command("provider.set", { name: "local", baseUrl: "http://127.0.0.1:1/v1", model: "qwen3-coder" });
  const task = async (prompt: string | string[], more: { agent?: string; needs?: string[]; check?: { run: string; retry: number } } = {}) =>
    (await client.command("task.create", { project: shop, prompt: [prompt].flat().join("\n"), agent: "builder", ...more })).id;
  const inState = (id: string, state: State) =>
    until(`${id} to be ${state}`, async () => {
      const now = await client.query("task.get", { id });
      if (isTerminal(now.state) && now.state !== state) throw new Error(`${id} is ${now.state}: ${now.message}`);
      return now.state === state;
    });
  const runOf = async (name: string, source: string) =>
    (await client.command("run.create", { project: shop, source: source.replace("reindex", name) })).id;

  const review = await task(scripts.review, { check: { run: onceRed, retry: 1 } });
  const merged = await task("Say what the shop is\nWRITE docs/shop.md: A shop that charges once.");
  const running = await task(scripts.running);
  const filled = {
    review,
    running,
    asking: await task(scripts.permission, { agent: "careful" }),
    again: await task(scripts.permission, { agent: "careful" }),
    queued: await task("Write down how a lost answer is handled\nWRITE docs/lost.md: It is asked for again.", { needs: [running] }),
    failed: await task(scripts.failed),
    paused: await task("Translate the shop's pages\nLIMIT the daily quota is used up, try again in 3600 seconds"),
    cancelled: await task("Try another payment gateway\nSLEEP"),
    failedRun: await runOf("reindex", twice.replace("FAILS", "4")),
    doneRun: await runOf("reindex-all", twice.replace("FAILS", "0")),
  };
  await Promise.all([inState(merged, "done"), inState(review, "done"), inState(filled.cancelled, "running"), inState(running, "running")]);
  await client.command("task.stop", { id: filled.cancelled });
  const merge = (await client.command("task.merge", { id: merged })).id;
  await Promise.all([
    inState(merge, "done"),
    inState(filled.asking, "needs you"),
    inState(filled.again, "needs you"),
    inState(filled.failed, "failed"),
    inState(filled.paused, "paused"),
    inState(filled.cancelled, "cancelled"),
  ]);
  const runs = await until("the runs", async () => {
    const { items } = await client.query("run.list", { limit: 20 });
    const state = (id: string) => items.find((run) => run.id === id)?.state;
    const asking = items.find((run) => run.flow === "release-notes" && run.state === "needs you");
    return state(filled.failedRun) === "failed" && state(filled.doneRun) === "done" && asking ? { askingRun: asking.id } : null;
  });
  const open = (await client.query("approval.list", { state: "open" })).items;
  const question = open.find(({ run }) => run === runs.askingRun)?.id ?? "";
  const permission = open.find(({ task: id }) => id === filled.asking)?.id ?? "";
  return { ...filled, ...runs, merge, question, permission };
}

/** A place of the dashboard, and what is read there when the data has come. */
export interface View {
  name: string;
  path: string;
  says: (string | RegExp)[];
  /** What is pressed there. */
  keys?: string;
}

/** Every page, tab and window of the dashboard on what `fillDashboard` put there. */
export function viewsOf(filled: Filled): View[] {
  const { permission, asking, question, failed, running, queued, review, merge, failedRun, doneRun, askingRun } = filled;
  const reviewed = "Charge a cart once, even when the customer clicks twice";
  const wanted = "GATEWAY=https://gateway.example";
  return [
    { name: "inbox", path: `/inbox?item=${permission}`, says: ["write .env.test", wanted, "High risk."] },
    { name: "inbox-question", path: `/inbox?item=${question}`, says: ["Add these lines to the CHANGELOG?", /I added \d+ lines/] },
    { name: "inbox-review", path: `/inbox?item=${review}`, says: [reviewed, "export const charge = (cart, key)"] },
    { name: "inbox-failed", path: `/inbox?item=${failed}`, says: [/the registry refused the upload/] },
    { name: "inbox-list", path: "/inbox?group=failed", says: ["Publish the package"] },
    { name: "fleet-tree", path: "/fleet", says: ["Everything", "shop", "builder"] },
    { name: "fleet-table", path: "/fleet?lens=table", says: ["Make the checkout survive a lost connection", "running"] },
    { name: "board", path: "/board?column=failed", says: ["Publish the package"] },
    { name: "board-list", path: "/board?view=list", says: [reviewed, "Publish the package"] },
    { name: "task-asking", path: `/tasks/${asking}`, says: [wanted, /The tests read the key from a file/] },
    { name: "task-running", path: `/tasks/${running}`, says: [/I look at the checkout first/] },
    { name: "task-queued", path: `/tasks/${queued}`, says: ["Not begun"] },
    { name: "task-failed", path: `/tasks/${failed}`, says: [/the registry refused the upload/] },
    { name: "task-transcript", path: `/tasks/${review}`, says: ["Both clicks now use the same key."] },
    { name: "task-diff", path: `/tasks/${review}?tab=diff`, says: ["export const charge = (cart, key)", /key\.js/] },
    { name: "task-checks", path: `/tasks/${review}?tab=checks`, says: ["ok: 12 tests passed", "11 of 12 tests passed"] },
    { name: "task-cost", path: `/tasks/${review}?tab=cost`, says: [/S-\d+ #\d/] },
    { name: "task-events", path: `/tasks/${review}?tab=events`, says: ["task.settled"] },
    { name: "task-merge", path: `/tasks/${merge}`, says: [/Say what the shop is/] },
    { name: "runs", path: "/runs", says: ["fix-bugs", "reindex-all", "release-notes"] },
    { name: "run-failed", path: `/runs/${failedRun}`, says: ["pages", "index[2]"] },
    { name: "run-table", path: `/runs/${failedRun}?view=table`, says: ["pages", "index[2]"] },
    { name: "run-done", path: `/runs/${doneRun}`, says: ["pages", "index"] },
    { name: "run-asking", path: `/runs/${askingRun}?step=ok`, says: ["Add these lines to the CHANGELOG?"] },
    { name: "agents", path: "/agents", says: ["builder", "elsewhere", "not found"] },
    { name: "agent", path: "/agents?agent=elsewhere", says: ["elsewhere", "/nowhere/agent"] },
    { name: "projects", path: "/projects", says: ["shop", "website"] },
    { name: "project", path: "/projects?project=shop", says: ["shop"] },
    { name: "no-page", path: "/nowhere", says: ["There is no such page"] },
    { name: "palette", path: "/fleet", keys: "Control+k", says: ["Go to", /release-notes/] },
    { name: "keys", path: "/board", keys: "?", says: ["Keys on this page"] },
    { name: "add-tasks", path: "/board", keys: "c", says: ["One task in a line"] },
  ];
}
