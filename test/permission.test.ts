import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertNothingLeft, git, makeFolder, makeRepository, root, startTutti, until, type Tutti } from "./support/tutti.ts";

/** What an agent asks for is done when a person says yes, once, and not otherwise; over ACP, from end to end. */
const folder = makeFolder();
let server: Tutti;
let project: string;
const agentFile = (name: string): string => readFileSync(join(root, "test/support/acp-agents", name), "utf8");

before(async () => {
  server = await startTutti({ home: folder.home });
  // The scripted agent lies in the repository itself: that is what a sandboxed session can see.
  const files = Object.fromEntries(["main.ts", "good.ts", "bad.ts", "wire.ts"].map((name) => [`agent/${name}`, agentFile(name)]));
  const repository = makeRepository(join(folder.path, "repo"), { ...files, "agent/package.json": '{ "type": "module" }\n' });
  project = (await server.client.command("project.create", { folder: repository })).id;
  await server.client.command("agent.create", {
    name: "asking",
    backend: "acp",
    settings: { command: [process.execPath, "agent/main.ts", "good"], env: {}, credentials: "none", permissions: "ask" },
  });
});
after(async () => {
  await server.stop();
  folder.remove();
});

const asked = (task: string) =>
  until("the question", async () =>
    (await server.client.query("approval.list", { state: "open" })).items.find((approval) => approval.task === task),
  );
const ended = (id: string) =>
  until(`${id} to end`, async () => {
    const task = await server.client.query("task.get", { id });
    return task.finishedAt === null ? null : task;
  });
const ask = async (file: string): Promise<string> =>
  (await server.client.command("task.create", { project, prompt: `ASK ${file}: it was allowed`, agent: "asking" })).id;

test("a yes lets exactly this happen; task, session and list say that a person is needed meanwhile", async () => {
  const id = await ask("yes.txt");
  const approval = await asked(id);
  const waiting = await server.client.query("task.get", { id });
  assert.deepEqual([waiting.state, waiting.reason], ["needs you", "approval"]);
  assert.match(JSON.stringify(approval.action), /yes\.txt/);
  await assert.rejects(
    server.client.command("approval.answer", { id: approval.id, answer: "yes", hash: "0".repeat(64) }),
    /another action/,
  );
  await server.client.command("approval.answer", { id: approval.id, answer: "yes", hash: approval.hash });
  const task = await ended(id);
  assert.equal(task.state, "done", task.message ?? "");
  assert.equal(git(join(folder.path, "repo"), "show", `tutti/${id}:yes.txt`), "it was allowed");
  await assert.rejects(server.client.command("approval.answer", { id: approval.id, answer: "no" }), /answered already/);
});

test("a no keeps it from happening, and the agent goes on", async () => {
  const id = await ask("no.txt");
  const approval = await asked(id);
  await server.client.command("approval.answer", { id: approval.id, answer: "no" });
  const task = await ended(id);
  assert.equal(task.state, "done", task.message ?? "");
  assert.deepEqual(task.result?.files, []);
});

test("a server that is killed while an agent asks lets the question expire and asks anew", async () => {
  const id = await ask("again.txt");
  const first = await asked(id);
  process.kill(server.pid, "SIGKILL");
  await server.exited;
  await assertNothingLeft(folder.home);
  server = await startTutti({ home: folder.home });
  const second = await asked(id);
  assert.notEqual(second.id, first.id);
  assert.equal((await server.client.query("approval.get", { id: first.id })).state, "expired");
  await server.client.command("approval.answer", { id: second.id, answer: "yes" });
  assert.equal((await ended(id)).state, "done");
  assert.equal(git(join(folder.path, "repo"), "show", `tutti/${id}:again.txt`), "it was allowed");
});
