import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertNothingLeft, git, leftovers, makeFolder, makeRepository, startTutti, until, type Tutti } from "./support/tutti.ts";

/** Stopping, limits, drains: a person stays in charge of agents that do not want to end. */
const folder = makeFolder();
let server: Tutti;
let project: string;

// It leaves its group, ignores SIGTERM, and works until somebody ends it; with a file "enough" in its clone it ends by itself.
const stubborn = `setsid sh -c 'trap "" TERM; while :; do sleep 0.1; done' & trap "" TERM; echo begun >> begun.txt; while [ ! -e "$HOME/enough" ]; do sleep 0.05; done; echo done`;

before(async () => {
  server = await startTutti({ home: folder.home });
  project = (await server.client.command("project.create", { folder: makeRepository(join(folder.path, "repo"), { "a.txt": "a\n" }) })).id;
  await server.client.command("agent.create", {
    name: "stubborn",
    backend: "command",
    limit: 2,
    settings: { command: ["sh", "-c", stubborn], env: {}, credentials: "none", permissions: "auto" },
  });
});
after(async () => {
  await server.stop();
  folder.remove();
});

const task = (id: string) => server.client.query("task.get", { id });
const ended = (id: string) => until(`${id} to end`, async () => ((await task(id)).finishedAt === null ? null : await task(id)));
const running = async (id: string) => {
  await until(`${id} to run`, async () => (await task(id)).state === "running");
  await until("its processes", () => leftovers(folder.home).some(({ command }) => command.includes("trap")));
};

test("a stopped agent that ignores SIGTERM and has left its group is gone, with all its processes", async () => {
  const { id } = await server.client.command("task.create", { project, prompt: "never end", agent: "stubborn" });
  await running(id);
  await server.client.command("task.stop", { id });
  const end = await ended(id);
  assert.deepEqual([end.state, end.reason], ["cancelled", "person"]);
  await assertNothingLeft(folder.home);
});

test("minutes are hard: an attempt that takes longer fails with its reason and leaves nothing", async () => {
  const { id } = await server.client.command("task.create", { project, prompt: "never end", agent: "stubborn", minutes: 0.02 });
  const end = await ended(id);
  assert.deepEqual([end.state, end.reason], ["failed", "time limit"]);
  await assertNothingLeft(folder.home);
});

test("a stopped queue: what waits for room is cancelled at once, and stopping everything ends everything", async () => {
  const ids: string[] = [];
  for (let n = 0; n < 3; n += 1)
    ids.push((await server.client.command("task.create", { project, prompt: `never end ${n}`, agent: "stubborn" })).id);
  const [first = "", second = "", waiting = ""] = ids;
  await running(first);
  await running(second);
  await until("the third to wait for room", async () => (await task(waiting)).reason === "no capacity");
  await server.client.command("task.stop", { id: waiting });
  assert.equal((await ended(waiting)).attempts.length, 0);
  await server.client.command("task.stop-all", {});
  for (const id of [first, second]) assert.equal((await ended(id)).state, "cancelled");
  await assertNothingLeft(folder.home);
});

test("a run's time is over: everything in it ends, and it has failed for that reason", async () => {
  const source =
    "name: late\nbudget: { minutes: 0.02 }\nsteps:\n  - { id: a, agent: stubborn, prompt: never end }\n  - { id: b, run: 'true' }\n";
  const { id } = await server.client.command("run.create", { project, source });
  const run = await until("the run to end", async () => {
    const now = await server.client.query("run.get", { id });
    return now.finishedAt === null ? null : now;
  });
  assert.deepEqual([run.state, run.reason], ["failed", "time limit"]);
  await assertNothingLeft(folder.home);
});

test("SIGTERM drains: the agent is ended, nothing is left, and after the next start the task goes on in the same session and clone", async () => {
  const { id } = await server.client.command("task.create", { project, prompt: "end when told", agent: "stubborn" });
  await running(id);
  const before = await task(id);
  assert.equal(await server.stop(), 0);
  await assertNothingLeft(folder.home);
  server = await startTutti({ home: folder.home });
  await until("its second attempt", async () => (await task(id)).attempt === 2 && (await task(id)).state === "running");
  const again = await task(id);
  assert.equal(again.session, before.session);
  assert.deepEqual(
    again.attempts.map(({ state, reason }) => [state, reason]),
    [
      ["cancelled", "interrupted"],
      ["running", null],
    ],
  );
  writeFileSync(join(folder.home, "sessions", again.session ?? "", "home", "enough"), "");
  const end = await ended(id);
  assert.equal(end.state, "done");
  // The clone was the same: both attempts wrote into one file.
  assert.equal(git(join(folder.path, "repo"), "show", `tutti/${id}:begun.txt`), "begun\nbegun");
});
