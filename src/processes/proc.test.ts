import assert from "node:assert/strict";
import { test } from "node:test";
import { allGone, findProcesses, isAlive, lookAt, signalProcess } from "./proc.ts";

test("without any mark nothing is looked for: it would be every process of the machine", async () => {
  await assert.rejects(findProcesses({}), /at least one mark/);
  assert.deepEqual(await findProcesses({ TUTTI_INSTANCE: [] }), []);
});

test("a process that took over the number of another one is never signalled", async () => {
  const own = lookAt(process.pid) ?? assert.fail("this process is there");
  const before = { ...own, startedAt: "1" };
  assert.equal(isAlive(own), true);
  assert.equal(isAlive(before), false);
  // If it were signalled, this test would not live to tell.
  assert.equal(signalProcess(before, "SIGKILL"), false);
  assert.equal(await allGone([before], 0), true);
});
