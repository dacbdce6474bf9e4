import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Command } from "commander";
import { makeWholeProgram } from "../program.ts";
import { programWithApi } from "./api-verbs.ts";

const folder = mkdtempSync(join(tmpdir(), "tutti-completion-"));
const file = join(folder, "deep/api-verbs.json");
after(() => rmSync(folder, { recursive: true, force: true }));

const verbsOf = (program: Command): string[] =>
  program.commands
    .flatMap((noun) => [
      noun.name(),
      ...noun.commands.map((verb) => [noun.name(), verb.name(), ...verb.options.map(({ long }) => long)].join(" ")),
    ])
    .toSorted();

test("the kept verbs are those of the API, with their options; also when they were read again", async () => {
  const whole = verbsOf((await makeWholeProgram()).program);
  assert.deepEqual(verbsOf(await programWithApi(file)), whole);
  const kept = readFileSync(file, "utf8");
  assert.deepEqual(verbsOf(await programWithApi(file)), whole);
  assert.equal(readFileSync(file, "utf8"), kept);
});

test("what was kept of other sources, or is damaged, is made anew", async () => {
  const { stamp } = JSON.parse(readFileSync(file, "utf8")) as { stamp: string };
  for (const text of ["{", JSON.stringify({ stamp: `${stamp} `, verbs: [] })]) {
    writeFileSync(file, text);
    const program = await programWithApi(file);
    assert.ok(
      program.commands.find((command) => command.name() === "task"),
      text,
    );
    assert.equal((JSON.parse(readFileSync(file, "utf8")) as { stamp: string }).stamp, stamp);
  }
});

test("a folder that cannot be written is no error", async () => {
  writeFileSync(join(folder, "file"), "");
  assert.ok((await programWithApi(join(folder, "file/api-verbs.json"))).commands.length > 20);
});
