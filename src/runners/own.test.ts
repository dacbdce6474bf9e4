import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { RunnerLease } from "./lease.ts";
import { keepOwnRunner, type Life } from "./own.ts";

/** Lives that are watched: what happened to each, in order. */
function lives(): { begin: () => Promise<Life>; lose(life: number): void; told: string[]; begun: Promise<void>[] } {
  const told: string[] = [];
  const made: AbortController[] = [];
  const beginnings = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  return {
    told,
    begun: beginnings.map(({ promise }) => promise),
    lose: (life) => made[life]?.abort(new Error("lost")),
    begin: async () => {
      const lost = new AbortController();
      const number = made.push(lost);
      told.push(`begin ${number}`);
      beginnings[number - 1]?.resolve();
      const lease: RunnerLease = {
        runner: "r",
        epoch: number,
        lost: lost.signal,
        holds: () => !lost.signal.aborted,
        drain: async () => {},
        stop: async () => void told.push(`lease ${number} back`),
      };
      const runner = { active: () => 0, drain: async () => {}, stop: async () => void told.push(`stop ${number}`) };
      return { lease, runner, leave: () => void told.push(`leave ${number}`) };
    },
  };
}

const log = pino({ level: "silent" });

test("a lease that was lost ends what ran under it, and a new life begins", async () => {
  const watched = lives();
  const own = await keepOwnRunner(watched.begin, log);
  watched.lose(0);
  await watched.begun[1];
  await own.stop();
  assert.deepEqual(watched.told, ["begin 1", "leave 1", "stop 1", "begin 2", "leave 2", "stop 2", "lease 2 back"]);
});

test("whoever stops ends the life that there is, and no other begins", async () => {
  const watched = lives();
  const own = await keepOwnRunner(watched.begin, log);
  await own.stop();
  assert.deepEqual(watched.told, ["begin 1", "leave 1", "stop 1", "lease 1 back"]);
});
