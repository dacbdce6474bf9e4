import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { assertNothingLeft, git, spawnTutti, startTutti, until, type Tutti } from "./tutti.ts";

/** What must hold after the tour was killed somewhere and started again: everything once, nothing lost, nothing left. */

/** Waits until the tour has come to its end: bugs fixed, release notes waiting for a person. */
export async function tourEnd(server: Tutti): Promise<void> {
  await until("the tour's end", async () => {
    const runs = (await server.client.query("run.list", { limit: 10 })).items;
    const failed = runs.find((run) => run.state === "failed" || run.state === "cancelled");
    assert.ok(!failed, `${failed?.flow} ${failed?.state}: ${failed?.message}`);
    return runs.some((run) => run.flow === "release-notes" && run.state === "needs you");
  });
}

/** Throws when something was done twice, got lost, or is left over. */
export async function assertOnce(server: Tutti): Promise<void> {
  const { client, home } = server;
  const runs = (await client.query("run.list", { limit: 50 })).items;
  assert.deepEqual(runs.map((run) => `${run.flow}: ${run.state}`).toSorted(), ["fix-bugs: done", "release-notes: needs you"]);

  const sample = join(home, "sample");
  const trailers = [...git(sample, "log", "--format=%B", "main").matchAll(/^Tutti-Step: (.+)$/gm)].map((match) => match[1]);
  assert.equal(trailers.length, 2, "two merges");
  assert.equal(new Set(trailers).size, 2, "each step has exactly one trailer");
  execFileSync("npm", ["test"], { cwd: sample, stdio: "pipe" });

  const tasks = (await client.query("task.list", { limit: 500 })).items;
  for (const { id } of tasks) {
    const task = await client.query("task.get", { id });
    if (task.state !== "done") continue;
    const finished = task.attempts.filter((attempt) => attempt.state === "done");
    assert.equal(finished.length, 1, `${id} has exactly one finished attempt`);
    assert.equal(finished[0]?.attempt, task.attempts.at(-1)?.attempt, `${id}: nothing was tried after the finished attempt`);
  }
  const sessions = (await client.query("session.list", { limit: 500 })).items;
  for (const session of sessions) {
    const turns = (await client.query("session.turns", { id: session.id, limit: 500 })).items;
    const task = await client.query("task.get", { id: session.task });
    const last = task.attempts.find((attempt) => attempt.state === "done")?.attempt ?? Infinity;
    assert.ok(
      turns.every((turn) => turn.attempt <= last),
      `${session.id}: no prompt of a finished step was sent again`,
    );
    assert.equal(new Set(turns.map((turn) => turn.turn)).size, turns.length);
    if (task.kind !== "merge" && turns.length > 0)
      assert.ok(existsSync(join(home, "sessions", session.id, "work")), `${session.id} keeps its clone`);
  }
  await assertNothingLeft(home);
}

/** Runs the tour with a crash at this point and then to its end. Answers false when the tour ended before the point came. */
export async function crashAndGoOn(home: string, point: string, env: Record<string, string> = {}): Promise<boolean> {
  const dying = spawnTutti({ home, args: [], env: { ...env, TUTTI_CRASH_AT: point } });
  let gone: number | string | null = null;
  void dying.exited.then((how) => (gone = how));
  await until(`the crash at ${point}, or the tour's end`, () => gone !== null || /tutti approve A-/.test(dying.output()));
  const crashed = gone !== null;
  if (crashed) assert.equal(await dying.exited, "SIGKILL", dying.output());
  else {
    dying.child.kill("SIGKILL");
    await dying.exited;
  }
  const server = await startTutti({ home, args: [], env });
  try {
    await tourEnd(server);
    await assertOnce(server);
  } finally {
    await server.stop();
  }
  await assertNothingLeft(home);
  return crashed;
}
