import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { assertOnce, crashAndGoOn, tourEnd } from "../support/crash.ts";
import { assertNothingLeft, makeFolder, spawnTutti, startTutti } from "../support/tutti.ts";

/** Every commit of the tour, before and after; run by `npm run test:crash`. TUTTI_TEST_FROM and TUTTI_TEST_STEP take a part. */
const from = Number(process.env.TUTTI_TEST_FROM ?? 1);
const step = Number(process.env.TUTTI_TEST_STEP ?? 1);
const most = 1000;

test("killed at every commit of the tour, before and after it, everything is done once", async (t) => {
  let tried = 0;
  for (let n = from; n < most; n += step) {
    let reached = false;
    for (const moment of ["before", "after"]) {
      const folder = makeFolder();
      const crashed = await crashAndGoOn(folder.home, `commit:${n}:${moment}`).catch((error: unknown) => {
        throw new Error(`at commit:${n}:${moment} in ${folder.home}`, { cause: error });
      });
      folder.remove();
      reached ||= crashed;
      tried += crashed ? 1 : 0;
    }
    if (!reached) break;
  }
  t.diagnostic(`${tried} crash points`);
  assert.ok(tried > 0);
});

test("ten kill -9 from outside at random moments of one tour", async (t) => {
  const folder = makeFolder();
  for (let round = 0; round < 10; round += 1) {
    const moment = randomInt(100, 3000);
    t.diagnostic(`killed after ${moment} ms`);
    const server = spawnTutti({ home: folder.home, args: [] });
    await Promise.race([wait(moment), server.exited]); // The moment itself is what is tested: nothing announces it.
    server.child.kill("SIGKILL");
    await server.exited;
    await assertNothingLeft(folder.home);
  }
  const server = await startTutti({ home: folder.home, args: [] });
  await tourEnd(server);
  await assertOnce(server);
  await server.stop();
  folder.remove();
});
