import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { explanations } from "../../../explain.ts";

const main = join(import.meta.dirname, "../main.ts");

/** The real program, with a home that does not exist: nothing is asked of a server. */
function tutti(...words: string[]): { code: number | null; stdout: string; stderr: string } {
  const env = { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: "/nowhere", TUTTI_HOME: "/nowhere/tutti", NO_COLOR: "1" };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...words], {
    env,
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}

test("tutti explain says what a code means, when it happens, and what to do", () => {
  const { code, stdout } = tutti("explain", "E_NOT_FOUND");
  assert.equal(code, 0);
  assert.match(stdout, /^not_found {2}an error: exit code 3, HTTP status 404\n/);
  for (const title of ["means", "when", "try"]) assert.match(stdout, new RegExp(`^  ${title} +\\S`, "m"));
  assert.match(stdout, /tutti explain not found$/m, "the reason of the same name");
});

test("tutti explain takes a reason of two words as it is written on the screen", () => {
  const { code, stdout } = tutti("explain", "check", "failed");
  assert.equal(code, 0);
  assert.match(stdout, /^check failed {2}a reason\n/);
});

test("tutti explain --json gives one object, and all of them without a code", () => {
  const one = JSON.parse(tutti("explain", "busy", "--json").stdout) as Record<string, unknown>;
  assert.deepEqual([one.kind, one.name, one.exitCode, one.status], ["error", "busy", 9, 503]);
  const { items } = JSON.parse(tutti("--json", "explain").stdout) as { items: unknown[] };
  assert.deepEqual(items, explanations());
});

test("tutti explain lists every code and reason", () => {
  const { code, stdout } = tutti("explain");
  assert.equal(code, 0);
  const lines = stdout.split("\n");
  for (const { name } of explanations())
    assert.ok(
      lines.some((line) => line.startsWith(`${name} `)),
      name,
    );
});

test("tutti explain of what there is not is exit code 3, with the nearest name", () => {
  const { code, stdout, stderr } = tutti("explain", "E_NOT_FUOND");
  assert.deepEqual([code, stdout], [3, ""]);
  assert.match(stderr, /error\[not_found\].*"E_NOT_FUOND"/);
  assert.match(stderr, /tutti explain not found/);
  assert.match(tutti("explain", "qqqqqq").stderr, /try {2}tutti explain\n/);
});
