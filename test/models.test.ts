import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { addProject, finished, give, transcriptOf } from "./support/work.ts";
import { startModelServer, type ModelServer } from "./support/model-server/server.ts";
import { bareEnvironment, makeFolder, makeRepository, root, startTutti, until, type Tutti } from "./support/tutti.ts";

/** Providers as a person uses them: a real server, providers of its environment and of its store, agents that work with both. */
const folder = makeFolder();
const keys = { anthropic: `sk-ant-${randomUUID()}`, google: `AIza-${randomUUID()}` };
let tutti: Tutti;
let project: string;
let anthropic: ModelServer;
let google: ModelServer;

before(async () => {
  anthropic = await startModelServer([], { key: keys.anthropic });
  google = await startModelServer([], { key: keys.google });
  tutti = await startTutti({
    home: folder.home,
    env: {
      ANTHROPIC_API_KEY: keys.anthropic,
      ANTHROPIC_BASE_URL: anthropic.url,
      ANTHROPIC_MODEL: "claude-of-the-test",
      TUTTI_LOG: "debug",
    },
  });
  project = await addProject(tutti, makeRepository(join(folder.path, "shop"), { "README.md": "a shop\n" }));
  await tutti.client.command("provider.set", { name: "gemini", baseUrl: google.url, model: "gemini-of-the-test", key: keys.google });
  await tutti.client.command("agent.create", {
    name: "steady",
    backend: "model",
    settings: { provider: "anthropic", fallbacks: [{ provider: "gemini" }] },
  });
});

after(async () => {
  await tutti?.stop();
  await Promise.all([anthropic?.close(), google?.close()]);
  folder.remove();
});

/** Everything in a folder, except for what `left` names. */
function textsIn(path: string, left: string[]): string {
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => !left.includes(name))
    .map(({ name }) => {
      const file = join(path, name);
      if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) return textsIn(file, left);
      return statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file, "latin1") : "";
    })
    .join("\n");
}

suite("an agent with a fallback", () => {
  test("goes on with the other provider in the middle of its work; who answered is in transcript and usage, and no key is anywhere", async () => {
    const nonce = randomUUID();
    anthropic.setRules([{ times: 1 }, { error: { status: 529, message: `overloaded ${keys.anthropic}` } }]);
    const { id } = await give(tutti, project, `WRITE a.txt: ${nonce}\nREAD a.txt\nSAY: done ${nonce}`, { agent: "steady" });
    const task = await finished(tutti, id);
    assert.equal(task.state, "done", `${task.message}\n${tutti.output()}`);
    assert.equal(task.result?.output, `done ${nonce}`);
    assert.deepEqual([anthropic.requests.length, google.requests.length], [2, 2]);

    const said = await transcriptOf(tutti, task.session, "thought");
    assert.match(said, /anthropic \(claude-of-the-test\) could not answer \(.*529.*\); gemini \(gemini-of-the-test\) goes on\./);
    const { items } = await tutti.client.query("session.turns", { id: task.session ?? "" });
    assert.deepEqual([items[0]?.usage?.provider, items[0]?.usage?.model], ["anthropic, gemini", "claude-of-the-test, gemini-of-the-test"]);

    assert.deepEqual(
      [anthropic.requests[0]?.headers["x-api-key"], google.requests[0]?.headers["x-goog-api-key"]],
      [keys.anthropic, keys.google],
    );
    const everything = [
      textsIn(tutti.home, ["keys"]),
      tutti.output(),
      JSON.stringify([
        await tutti.client.query("provider.list", {}),
        await tutti.client.query("session.transcript", { id: task.session ?? "" }),
      ]),
    ].join("\n");
    assert.ok(everything.includes(nonce), "control: it was looked where things are");
    for (const key of Object.values(keys)) assert.equal(everything.includes(key), false);
  });

  test("is parked until the first of its providers is free, when all are at their limit", async () => {
    anthropic.setRules([{ error: { status: 429, message: "enough", retryAfterSeconds: 7200 } }]);
    google.setRules([{ error: { status: 429, message: "enough", retryAfterSeconds: 3600 } }]);
    const before = Date.now();
    const { id } = await give(tutti, project, "go", { agent: "steady" });
    const { message, session } = await parked(id);
    assert.match(message ?? "", /429/);
    const turns = await tutti.client.query("session.turns", { id: session ?? "" });
    const outcome = turns.items[0]?.outcome;
    assert.ok(outcome?.kind === "limited" && outcome.retryAt !== null);
    assert.ok(outcome.retryAt >= before + 3_600_000 && outcome.retryAt <= Date.now() + 3_600_000);
    await tutti.client.command("task.stop", { id });
  });
});

test("a provider of the environment is tested like a stored one, by its name alone", async () => {
  anthropic.setRules([{ reply: "ok" }]);
  google.setRules([{ error: { status: 404, message: "models/gemini-of-the-test is not found" } }]);
  assert.equal((await tutti.client.query("provider.test", { name: "anthropic" })).state, "ready");
  assert.equal((await tutti.client.query("provider.test", { name: "gemini" })).state, "model unknown");
});

suite("docs/models.md", () => {
  const commands = [...readFileSync(join(root, "docs/models.md"), "utf8").matchAll(/^```sh\n([^]*?)^```$/gm)]
    .flatMap(([, block = ""]) => block.split("\n"))
    .filter((line) => line !== "" && !line.startsWith("#"));

  test("every command in it works, in its order", async () => {
    const other = makeFolder();
    const server = await startTutti({ home: other.home });
    try {
      writeFileSync(join(other.path, "key.txt"), "sk-of-the-document\n");
      const { PATH = "", ...environment } = bareEnvironment(other.home);
      // Some hundred modules are compiled for each call; here once for all.
      const env = { ...environment, PATH: `${join(root, "bin")}:${PATH}`, NODE_COMPILE_CACHE: join(other.path, "compiled") };
      assert.ok(commands.length >= 12);
      for (const command of commands) {
        const { code, text } = await new Promise<{ code: unknown; text: string }>((resolve) => {
          execFile("sh", ["-c", command], { cwd: other.path, env }, (error, stdout, stderr) =>
            resolve({ code: error?.code ?? 0, text: stdout + stderr }),
          );
        });
        assert.equal(code, 0, `${command}\n${text}`);
        assert.doesNotMatch(text, /sk-of-the-document/);
      }
      const { items } = await server.client.query("provider.list", {});
      assert.deepEqual(
        items.map(({ name, protocol, api, keyName }) => [name, protocol, api, keyName]),
        [
          ["anthropic", "anthropic", null, "anthropic"],
          ["google", "google", null, "google"],
          ["house", "openai", "responses", null],
          ["openai", "openai", "responses", "openai"],
          ["work", "anthropic", null, "work"],
        ],
      );
      const steady = await server.client.query("agent.get", { name: "steady" });
      assert.deepEqual(
        [steady.state, steady.detection.message],
        ["queued", "models of anthropic, then of work, then of google, then of house"],
      );
    } finally {
      await server.stop();
      other.remove();
    }
  });
});

const parked = (id: string) =>
  until(`task ${id} to be parked`, async () => {
    const task = await tutti.client.query("task.get", { id });
    return task.state === "paused" && task;
  });
