import assert from "node:assert/strict";
import { test } from "node:test";
import { readOptions, UsageError } from "./options.ts";

test("without words everything quick is measured on both stores, without peers", () => {
  const { rows, stores, medium, peers, rounds } = readOptions([]);
  assert.deepEqual(rows, ["queue", "queue-slow", "runs", "latency", "start", "sse", "simulator"]);
  assert.deepEqual([stores, medium, peers, rounds], [["sqlite", "postgres"], "tmpfs", false, 3]);
});

test("peers are all of them, or those that are named", () => {
  assert.deepEqual([readOptions(["--peers"]).peers, readOptions(["--peers"]).onlyPeers], [true, null]);
  assert.deepEqual(readOptions(["--peers=bullmq,dbos", "--rows", "queue"]).onlyPeers, ["bullmq", "dbos"]);
});

test("what is not known is refused with the usage", () => {
  for (const words of [
    ["--rows", "queue,nonsense"],
    ["--store", "mysql"],
    ["--rounds", "0"],
    ["--tasks", "many"],
    ["--peer"],
    ["--peers=bullmp"],
  ]) {
    assert.throws(
      () => readOptions(words),
      (error) => error instanceof UsageError && error.message.includes("npm run bench"),
      words.join(" "),
    );
  }
});
