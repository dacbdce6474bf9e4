import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { accessTable, accessViolations } from "../src/access/table.suite.ts";
import { entries } from "../src/commands.ts";
import { addAgent, addProject, done, fileOfRunning, finished, give, shellAgent } from "./support/work.ts";
import { send, type Answer } from "./support/server.ts";
import { makeFolder, makeRepository, startTutti, until, type Tutti } from "./support/tutti.ts";

/** Who may call what: every entry of the API, and an agent's own token taken out of a really running agent. */
accessTable("the whole API", entries);

/** Writes down its environment, and is at work until a file lets it go. */
const script = `env > env.tmp && mv env.tmp env.txt
while [ ! -e go ]; do sleep 0.05; done
rm go env.txt
echo done > result.txt`;

interface Working {
  task: string;
  session: string;
  work: string;
  token: string;
  url: string;
}

suite("an agent's own token, on a real server", () => {
  const folder = makeFolder();
  let tutti: Tutti;
  let project: string;
  let one: Working;
  let other: Working;

  async function startAgent(): Promise<Working> {
    const { id } = await give(tutti, project, script);
    const { text, work, session } = await fileOfRunning(tutti, id, "env.txt");
    const environment = Object.fromEntries(text.split("\n").map((line) => [line.split("=", 1)[0], line.slice(line.indexOf("=") + 1)]));
    return { task: id, session, work, token: environment["TUTTI_TOKEN"] ?? "", url: environment["TUTTI_URL"] ?? "" };
  }

  const port = (): number => Number(new URL(tutti.url).port);
  const get = (path: string, token: string): Promise<Answer> => send(port(), `/api${path}`, { token });
  const call = (name: string, input: unknown, token: string): Promise<Answer> =>
    send(port(), `/api/commands/${name}`, {
      method: "POST",
      token,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(input),
    });

  before(async () => {
    tutti = await startTutti({ home: folder.home });
    await addAgent(tutti, shellAgent);
    project = await addProject(tutti, makeRepository(join(folder.path, "repository"), { "a.txt": "a\n" }));
    [one, other] = await Promise.all([startAgent(), startAgent()]);
  });
  after(async () => {
    await tutti?.stop();
    folder.remove();
  });

  test("is another than the person's and than the other agent's, and comes with the server's address", () => {
    assert.equal(new Set([tutti.token, one.token, other.token]).size, 3);
    assert.equal(one.url, tutti.url);
  });

  test("each entry answers the person, and an agent where it is about the agent's own session, and nobody else", async () => {
    const revoked = await tutti.client.command("token.create", { name: "gone" });
    await tutti.client.command("token.revoke", { id: revoked.id });
    const server = {
      port: port(),
      tokens: { person: tutti.token, revoked: revoked.token, agent: one.token, otherAgent: other.token },
      things: { session: one.session, task: one.task },
    };
    assert.deepEqual(await accessViolations(entries, server), []);
  });

  test("reads its own session and task, and learns nothing of the other's, not even whether it exists", async () => {
    for (const part of ["", "/turns", "/transcript", "/diff"]) {
      assert.equal((await get(`/sessions/${one.session}${part}`, one.token)).status, 200, part);
      const refused = await get(`/sessions/${other.session}${part}`, one.token);
      const missing = await get(`/sessions/S-404${part}`, one.token);
      assert.deepEqual([refused.status, missing.status], [403, 403]);
      assert.equal(refused.text.replaceAll(other.session, "S-404"), missing.text);
    }
    assert.equal((await get(`/tasks/${one.task}`, one.token)).status, 200);
    assert.equal((await get(`/tasks/${other.task}`, one.token)).status, 403);
    for (const list of ["/tasks", "/sessions", "/projects", "/agents", "/runs", "/approvals", "/events", "/tokens", "/audit"]) {
      assert.equal((await get(list, one.token)).status, 403, list);
    }
  });

  test("cannot approve, merge, stop, make or change anything; and nothing is changed", async () => {
    const source = `name: ask\nsteps:\n  - { id: ok, ask: { who: owner, question: "Go on?" } }\n`;
    const run = await tutti.client.command("run.create", { project, source });
    const approval = await until("the question", async () => {
      const { items } = await tutti.client.query("approval.list", { state: "open" });
      return items.find((item) => item.run === run.id);
    });
    const settings = { command: ["/bin/sh"] };
    const wishes: [string, unknown][] = [
      ["approval.answer", { id: approval.id, answer: "yes", hash: approval.hash }],
      ["task.merge", { id: one.task }],
      ["task.stop", { id: one.task }],
      ["task.stop-all", {}],
      ["task.retry", { id: one.task }],
      ["task.reply", { id: one.task, text: "go on" }],
      ["task.create", { project, prompt: "more of me" }],
      ["run.create", { project, source }],
      ["run.stop", { id: run.id }],
      ["agent.create", { name: "mine", backend: "command", settings }],
      ["agent.update", { name: shellAgent, settings: { ...settings, permissions: "auto" } }],
      ["agent.remove", { name: shellAgent }],
      ["project.create", { folder: join(folder.path, "repository") }],
      ["project.update", { id: project, settings: { sandbox: "none" } }],
      ["project.update", { id: project, settings: { setup: "touch /tmp/x" } }],
      ["provider.set", { name: "mine", baseUrl: "http://127.0.0.1:9/v1", model: "m" }],
      ["provider.remove", { name: "demo" }],
      ["token.create", { name: "mine" }],
      ["token.revoke", { id: "x" }],
    ];
    const picture = async (): Promise<unknown> => ({
      approval: await tutti.client.query("approval.get", { id: approval.id }),
      agents: (await tutti.client.query("agent.list", {})).items.map(({ name, settings: kept, limit }) => ({ name, kept, limit })),
      projects: await tutti.client.query("project.list", {}),
      providers: await tutti.client.query("provider.list", {}),
      tokens: await tutti.client.query("token.list", { kind: "all" }),
      tasks: await tutti.client.query("task.list", {}),
    });
    const before = await picture();
    for (const [name, input] of wishes) {
      const { status, text } = await call(name, input, one.token);
      assert.equal(status, 403, `${name}: ${text}`);
      assert.equal((JSON.parse(text) as { code: string }).code, "forbidden");
    }
    assert.deepEqual(await picture(), before);
    const person = await tutti.client.command("approval.answer", { id: approval.id, answer: "yes", hash: approval.hash });
    assert.equal(person.state, "answered", "control: a person's token can");
  });

  test("is dead within 5 s when its task has ended, however it ended, and not before", async () => {
    const statusOf = async ({ session, token }: Working): Promise<number> => (await get(`/sessions/${session}`, token)).status;
    assert.deepEqual(await Promise.all([one, other].map(statusOf)), [200, 200]);
    writeFileSync(join(one.work, "go"), "");
    await done(tutti, one.task);
    assert.equal(await statusOf(other), 200, "the other task goes on");
    await tutti.client.command("task.stop", { id: other.task });
    assert.equal((await finished(tutti, other.task)).state, "cancelled");
    await until(
      "both tokens to be dead",
      async () => (await Promise.all([one, other].map(statusOf))).every((status) => status === 401),
      5_000,
    );
  });
});
