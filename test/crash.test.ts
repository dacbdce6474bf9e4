import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { assertOnce, crashAndGoOn, tourEnd } from "./support/crash.ts";
import { leftovers, makeFolder, spawnTutti, startTutti, until } from "./support/tutti.ts";
import { assertNothingLeft } from "./support/tutti.ts";

/**
 * A part of the crash points; `npm run test:crash` does every one. The points are spread over the tour with a random start,
 * so that each run of the tests looks elsewhere; a failure names its point.
 */
const first = randomInt(1, 9);
const points = Array.from({ length: 3 }, (_, index) => first + index * 24).flatMap((n) => [`commit:${n}:before`, `commit:${n}:after`]);

for (const point of points) {
  test(`killed at ${point}, the tour goes on and does everything once`, async () => {
    const folder = makeFolder();
    try {
      await crashAndGoOn(folder.home, point);
    } finally {
      folder.remove();
    }
  });
}

test("kill -9 from outside at random moments, three times in one tour, loses and doubles nothing", async (t) => {
  const folder = makeFolder();
  try {
    for (let round = 0; round < 3; round += 1) {
      const moment = randomInt(200, 2500);
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
  } finally {
    folder.remove();
  }
});

test("the control: a process that left its group is seen while it runs, by its environment and by its folder", async () => {
  const folder = makeFolder();
  mkdirSync(folder.home);
  writeFileSync(join(folder.home, "id"), "a-control\n");
  const child = spawn("sh", ["-c", "trap '' TERM; while :; do sleep 1; done"], {
    env: { PATH: process.env.PATH, TUTTI_SESSION: "S-1", TUTTI_INSTANCE: "a-control" },
    cwd: folder.path,
    stdio: "ignore",
    detached: true,
  });
  try {
    const seen = await until("the control process", () => leftovers(folder.home).find(({ pid }) => pid === child.pid));
    assert.match(seen.command, /trap/);
  } finally {
    if (child.pid) process.kill(-child.pid, "SIGKILL");
    folder.remove();
  }
});
