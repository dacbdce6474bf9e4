import assert from "node:assert/strict";
import { test } from "node:test";
import { printable, runCommand } from "./command.ts";
import { excludeLine, plainPath, shellWord } from "./names.ts";
import { openQueue } from "./queue.ts";

const base = { cwd: "/", env: { PATH: process.env.PATH ?? "" }, timeoutMs: 10_000, maxBytes: 1000, whenFull: "fail" as const };

test("a command that is too slow or says too much is ended with all that it started", async () => {
  const slow = { ...base, argv: ["/bin/sh", "-c", "sleep 1000 & echo $!; wait"], timeoutMs: 200 };
  await assert.rejects(runCommand(slow), { code: "timed_out", retryable: true });
  const loud = { ...base, argv: ["/bin/sh", "-c", "yes"] };
  await assert.rejects(runCommand(loud), { code: "too_large" });
  const cut = await runCommand({ ...loud, whenFull: "cut" });
  assert.deepEqual([cut.cut, cut.stdout.length], [true, 1000]);
  await assert.rejects(runCommand({ ...base, argv: ["/nowhere/git"] }), { code: "failed" });
});

test("the environment of a command is the given one alone", async () => {
  const end = await runCommand({ ...base, argv: ["/usr/bin/env"], env: { ONLY: "this", NOT: undefined } });
  assert.equal(end.stdout.toString(), "ONLY=this\n");
});

test("control characters do not pass", () => {
  assert.equal(printable("a\u001b[31mb\u0007\u009b1m\tc\r\nd"), "a[31mb1m\tc\n\nd");
});

test("words for a shell, lines for an exclude file and paths keep their meaning", () => {
  assert.deepEqual(["main", "it's", "a b", "$(x)", ""].map(shellWord), ["main", "'it'\\''s'", "'a b'", "'$(x)'", "''"]);
  assert.equal(excludeLine("a [1]*?\\ .txt"), "/a\\ \\[1\\]\\*\\?\\\\\\ .txt");
  assert.deepEqual(["a/b", "../a", "/a", "a//b", "a/./b", "", "a\0b"].map(plainPath), ["a/b", null, null, null, null, null, null]);
});

test("work of one key runs in order, also after a failure; other keys do not wait", async () => {
  const queue = openQueue();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = queue("a", async () => {
    await gate.promise;
    order.push("a1");
    throw new Error("failed");
  });
  const second = queue("a", async () => order.push("a2"));
  await queue("b", async () => order.push("b1"));
  gate.resolve();
  await assert.rejects(first, /failed/);
  await second;
  assert.deepEqual(order, ["b1", "a1", "a2"]);
});
