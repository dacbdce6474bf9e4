import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { startPostgres } from "./support/postgres.ts";
import { assertNothingLeft, git, makeFolder, startTutti, until, type Tutti } from "./support/tutti.ts";

/** The tour as `npm start` shows it, from outside: a real server, real clones, real merges. */
const postgres = startPostgres();
after(async () => (await postgres).stop());

const runsOf = async (server: Tutti) => (await server.client.query("run.list", { limit: 10 })).items;
const runOf = async (server: Tutti, flow: string) => (await runsOf(server)).find((run) => run.flow === flow);

/** What must not grow when the server starts again: attempts, turns (each is a request to a model or more) and commits. */
async function counted(server: Tutti): Promise<unknown> {
  const tasks = (await server.client.query("task.list", { limit: 500 })).items;
  const sessions = (await server.client.query("session.list", { limit: 500 })).items;
  const turns = await Promise.all(
    sessions.map(async ({ id }) => (await server.client.query("session.turns", { id, limit: 500 })).items.length),
  );
  return {
    attempts: Object.fromEntries(tasks.map((task) => [task.id, `${task.attempt} ${task.state}`])),
    turns: turns.reduce((sum, count) => sum + count, 0),
    commits: git(join(server.home, "sample"), "rev-list", "--all", "--count"),
  };
}

const stores = { sqlite: async () => ({}), postgres: async () => ({ DATABASE_URL: await (await postgres).freshDatabase() }) };

for (const [store, environment] of Object.entries(stores)) {
  test(`on ${store} the tour fixes both bugs, merges twice, waits for a person with its release notes, and does nothing twice`, async () => {
    const folder = makeFolder();
    try {
      await tour(folder.home, await environment());
    } finally {
      folder.remove();
    }
  });
}

async function tour(home: string, env: Record<string, string>): Promise<void> {
  const server = await startTutti({ home, args: [], env });
  const notes = await until("the release notes to wait", async () => {
    const run = await runOf(server, "release-notes");
    return run && run.state !== "running" && run.state !== "queued" ? run : null;
  });
  assert.equal(notes.state, "needs you");
  assert.equal((await runOf(server, "fix-bugs"))?.state, "done");

  const sample = join(server.home, "sample");
  const log = git(sample, "log", "--format=%B", "main");
  const trailers = [...log.matchAll(/^Tutti-Step: (.+)$/gm)].map((match) => match[1]);
  assert.equal(trailers.length, 2, log);
  assert.equal(new Set(trailers).size, 2);
  assert.equal(git(sample, "log", "--merges", "--format=%H", "main").split("\n").length, 2);
  execFileSync("npm", ["test"], { cwd: sample, stdio: "pipe" });

  const before = await counted(server);
  assert.equal(await server.stop(), 0);
  await assertNothingLeft(server.home);

  const again = await startTutti({ home, args: [], env });
  assert.deepEqual(await counted(again), before);
  const [open] = (await again.client.query("approval.list", { state: "open" })).items;
  assert.ok(open);
  await again.client.command("approval.answer", { id: open.id, answer: "yes", hash: open.hash });
  const done = await until("the release notes to be merged", async () => {
    const run = await runOf(again, "release-notes");
    return run?.state === "done" || run?.state === "failed" ? run : null;
  });
  assert.equal(done.state, "done");
  assert.match(git(sample, "show", "main:CHANGELOG.md"), /Unreleased\n\n(- .*\n)*- .*prices/);
  assert.equal(git(sample, "status", "--porcelain"), "");
  assert.equal(await again.stop(), 0);
  assert.ok(!existsSync(join(home, "server.json")));
}
