import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { largeBytes, type Artifacts } from "../artifacts/artifact.ts";
import { openFileArtifacts } from "../artifacts/files.ts";
import { AppError } from "../errors.ts";
import { openProcesses } from "../processes/open.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import type { Attempt } from "./attempt.ts";
import { streamInClone } from "./stream-command.ts";

const folder = mkdtempSync(join(tmpdir(), "tutti-stream-"));
const work = join(folder, "work");
mkdirSync(work);
const path = process.env["PATH"] ?? "/usr/bin:/bin";
const processes = await openProcesses({ tuttiHome: folder, instance: `test-${process.pid}`, force: "group", path });
const artifacts = await openFileArtifacts(folder, { maxBytes: 4 * 1024 * 1024 });
after(async () => {
  await processes.close();
  rmSync(folder, { recursive: true, force: true });
});

const workspace: Workspace = { path: work, home: work, base: "c0", branch: "b", notIncluded: [], existed: false };

interface Options {
  stdin?: AsyncIterable<Uint8Array>;
  signal?: AbortSignal;
  store?: Artifacts;
}

function stream(script: string, { stdin, signal = new AbortController().signal, store = artifacts }: Options = {}) {
  const assignment = { session: "S-1", access: null, project: { sandbox: "none" } };
  const attempt = { assignment, signal, tools: { processes, artifacts: store, environment: { PATH: path } } } as unknown as Attempt;
  const command = { argv: ["sh", "-c", script], env: {}, stdin: stdin ?? null, maxBytes: largeBytes };
  return streamInClone(attempt, workspace, command);
}

/** What a put that went wrong would leave. */
const halfWritten = (): string[] => readdirSync(join(folder, "artifacts")).filter((name) => name.startsWith("incoming-"));

test("what a command writes is its bytes when it is small, and an artifact of exactly those bytes when it is large", async () => {
  const small = await stream("printf 'a\\377b\\n\\n'; exit 3");
  assert.equal(small.exit.code, 3);
  assert.deepEqual(small.output, { kind: "small", bytes: Buffer.from([97, 255, 98, 10, 10]) });
  const limit = await stream(`head -c ${largeBytes} /dev/zero`);
  assert.equal(limit.output.kind, "small");
  const large = await stream(`head -c ${largeBytes + 1} /dev/zero`);
  assert.ok(large.output.kind === "large");
  const hash = createHash("sha256")
    .update(Buffer.alloc(largeBytes + 1))
    .digest("hex");
  assert.equal(large.output.reference.$artifact, hash);
  assert.equal(large.output.reference.size, largeBytes + 1);
});

test("stdout and stderr are shown together, and only stdout is the result", async () => {
  const { output, shown } = await stream("echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three");
  assert.equal(shown, "one\ntwo\nthree\n");
  assert.ok(output.kind === "small" && output.bytes.toString() === "one\nthree\n");
});

test("a result over the limit ends the command and leaves nothing", async () => {
  await assert.rejects(stream("yes"), { code: "too_large" });
  assert.deepEqual(halfWritten(), []);
});

test("a store that is slower than the command makes the command wait", async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const { promise: reached, resolve: isReached } = Promise.withResolvers<void>();
  const slow: Artifacts = {
    ...artifacts,
    async put(content) {
      isReached();
      await gate;
      return await artifacts.put(content);
    },
  };
  let isOver = false;
  const streamed = stream("head -c 3000000 /dev/zero; echo over >&2", { store: slow }).finally(() => (isOver = true));
  await reached;
  // It has written all that fits into the pipe by the time that another command has run to its end.
  await stream("sleep 1.5");
  assert.equal(isOver, false);
  open();
  const { output, shown } = await streamed;
  assert.ok(output.kind === "large" && output.reference.size === 3_000_000);
  assert.ok(shown.includes("over\n"));
});

test("a store that takes its time after the command has ended gets all of it", async () => {
  const slow: Artifacts = {
    ...artifacts,
    async put(content) {
      await stream("sleep 2.5");
      return await artifacts.put(content);
    },
  };
  // The last of it is still in the pipe when the command ends.
  const { output } = await stream("head -c 400000 /dev/zero", { store: slow });
  assert.ok(output.kind === "large" && output.reference.size === 400_000);
});

test("a command that is stopped in the middle ends at once, with what it wrote until then", async () => {
  const stopping = new AbortController();
  const streamed = stream("echo begun; sleep 1000", { signal: stopping.signal });
  setTimeout(() => stopping.abort(), 300);
  const { exit, shown } = await streamed;
  assert.notEqual(exit.code, 0);
  assert.equal(shown, "begun\n");
  await assert.rejects(stream("true", { signal: stopping.signal }), "nothing is begun after that");
});

test("what a command reads arrives whole, and one that reads no further is no failure", async () => {
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for (let n = 0; n < 100; n += 1) yield Buffer.alloc(50_000, n);
  }
  const expected = createHash("sha256").update(Buffer.concat(Array.from({ length: 100 }, (_, n) => Buffer.alloc(50_000, n))));
  const whole = await stream("sha256sum | cut -c 1-64", { stdin: bytes() });
  assert.ok(whole.output.kind === "small" && whole.output.bytes.toString().trim() === expected.digest("hex"));
  for (const script of ["head -c 5 | wc -c", "exec <&-; sleep 0.2; echo 5", "echo 5"]) {
    const { exit, output } = await stream(script, { stdin: bytes() });
    assert.equal(exit.code, 0);
    assert.ok(output.kind === "small" && output.bytes.toString().trim() === "5", script);
  }
});

test("a source that breaks is an error, never a shorter input, and ends the command", async () => {
  const signal = AbortSignal.timeout(10_000);
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("the first half");
    throw new AppError("unreachable", "the store is away");
  }
  await assert.rejects(stream("wc -c", { stdin: broken(), signal }), { code: "unreachable" });
  assert.equal(signal.aborted, false, "nobody else had to end it");
});

test("a program that cannot be begun has the code 127 and says why, whatever it should have read", async () => {
  const attempt = { assignment: { session: "S-1", access: null, project: { sandbox: "none" } }, signal: new AbortController().signal };
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("unread");
  }
  const { exit, shown } = await streamInClone(
    { ...attempt, tools: { processes, artifacts, environment: { PATH: path } } } as unknown as Attempt,
    workspace,
    { argv: ["no-such-program"], env: {}, stdin: bytes(), maxBytes: largeBytes },
  );
  assert.equal(exit.code, 127);
  assert.match(shown, /no-such-program/);
});

test("a process that escaped and holds the output open holds nothing up", async () => {
  const started = performance.now();
  const { output } = await stream("echo first; env -i setsid sleep 20 & sleep 0.2");
  assert.ok(output.kind === "small" && output.bytes.toString() === "first\n");
  assert.ok(performance.now() - started < 10_000);
});
