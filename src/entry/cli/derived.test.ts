import assert from "node:assert/strict";
import { test } from "node:test";
import type { Command } from "commander";
import { entries } from "../../commands.ts";
import { valueOf } from "./derived.ts";
import { makeWholeProgram } from "./program.ts";

const { program } = await makeWholeProgram();
const verbOf = (noun: string, verb: string): Command | undefined =>
  program.commands.find((command) => command.name() === noun)?.commands.find((command) => command.name() === verb);

test("every entry of the registry is a verb, with help", () => {
  for (const { name } of entries) {
    const [noun = "", verb = ""] = name.split(".");
    const found = verbOf(noun === "run" ? "runs" : noun, verb);
    assert.ok(found, name);
    assert.notEqual(found.description(), "", name);
  }
});

test("a verb that takes a prompt has no verbs below it: a prompt may begin with any word", () => {
  for (const command of program.commands) {
    if (command.registeredArguments.length > 0) assert.deepEqual(command.commands, [], command.name());
  }
  assert.equal(verbOf("run", "list"), undefined);
  assert.ok(verbOf("runs", "list"));
});

test("an entry's fields are options with dashes, and what it must have is given by position", () => {
  const create = verbOf("task", "create");
  assert.ok(create);
  const flags = create.options.map((option) => option.long);
  assert.ok(flags.includes("--include-dirty"));
  assert.ok(flags.includes("--prompt"));
  assert.deepEqual(
    verbOf("task", "get")?.registeredArguments.map((argument) => argument.name()),
    ["id"],
  );
});

test("a verb that was written by hand is not made again", () => {
  const names = verbOf("flow", "lint")?.parent?.commands.map((command) => command.name());
  assert.equal(names?.filter((name) => name === "lint").length, 1);
});

test("text becomes what its field wants", () => {
  assert.equal(valueOf("limit", "5", { type: "integer" }), 5);
  assert.equal(valueOf("prompt", "5", { type: "string" }), "5");
  assert.equal(valueOf("id", "t-5", { type: "string" }), "T-5");
  assert.equal(valueOf("prompt", "t-5", { type: "string" }), "t-5");
  assert.deepEqual(valueOf("needs", '["T-1"]', { type: "array" }), ["T-1"]);
  assert.deepEqual(valueOf("settings", '{"a":1}', {}), { a: 1 });
  assert.equal(valueOf("key", "secret", {}), "secret");
  assert.equal(valueOf("includeDirty", true, { type: "boolean" }), true);
});

test("text that cannot become what its field wants is refused by the option's name", () => {
  assert.throws(() => valueOf("limit", "many", { type: "integer" }), { code: "invalid_input", message: "--limit must be integer" });
});
