import assert from "node:assert/strict";
import { test } from "node:test";
import { isHandWritten, makeProgram, verbWords } from "./program.ts";

const program = makeProgram();

test("what is written by hand is known by its words; everything else needs the whole API", () => {
  for (const words of [[], ["ls"], ["ls", "tasks"], ["run", "task", "list"], ["token", "ls"], ["help", "run"], ["help", "api"], ["help"]])
    assert.equal(isHandWritten(program, words), true, words.join(" "));
  for (const words of [["task"], ["task", "list"], ["stauts"], ["flow", "compile"], ["help", "task"], ["agents", "list"]])
    assert.equal(isHandWritten(program, words), false, words.join(" "));
});

test("options and their values are no words of the verb, and nothing is one behind --", () => {
  assert.deepEqual(verbWords(["--json", "ls", "--wide"]), ["ls"]);
  assert.deepEqual(verbWords(["--color", "never", "ls"]), ["ls"]);
  assert.deepEqual(verbWords(["run", "--", "task"]), ["run"]);
});

test("every everyday verb says what it does, and stands in a group", () => {
  for (const command of program.commands) {
    assert.notEqual(command.description(), "", command.name());
    assert.notEqual(command.helpGroup(), "", command.name());
  }
});
