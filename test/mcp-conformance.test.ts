import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./support/tutti.ts";

test("the official conformance suite passes every scenario that revision 2026-07-28 requires", async () => {
  const child = spawn(process.execPath, [join(root, "scripts/mcp-conformance.ts")], { stdio: ["ignore", "pipe", "pipe"] });
  let told = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (told += chunk.toString()));
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0, told);
  assert.match(told, /^required: 37 of 37 scenarios$/m, told);
});
