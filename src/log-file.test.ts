import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pino } from "pino";
import { openLogFile } from "./log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "tutti-log-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("lines are added to the file at once, which only its owner may read", () => {
  const file = join(folder, "log", "server.log");
  for (const message of ["one", "two"]) pino({}, openLogFile(file)).warn(message);
  assert.deepEqual(
    readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { msg: string }).msg),
    ["one", "two"],
  );
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("on a full disk a line is dropped and nobody waits for it", () => {
  // Linux's own full disk: every write to it fails with ENOSPC.
  const log = pino({}, openLogFile("/dev/full"));
  const started = performance.now();
  for (let n = 0; n < 100; n += 1) log.error({ n }, "no room");
  assert.ok(performance.now() - started < 5_000);
});
