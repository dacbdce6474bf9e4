import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { makeWholeProgram } from "./entry/cli/program.ts";
import { errorCodes } from "./errors.ts";
import { explain, explanations } from "./explain.ts";
import { Reason } from "./tasks/task.ts";

describe("what is explained", () => {
  test("is every error code and every reason, once, with what it means, when it happens and what to do", () => {
    const all = explanations();
    const namesOf = (kind: string): string[] => all.filter((one) => one.kind === kind).map(({ name }) => name);
    assert.deepEqual(namesOf("error"), errorCodes);
    assert.deepEqual(namesOf("reason"), Reason.options);
    for (const { name, means, when, fix } of all) {
      assert.match(means, /^[A-Z].{10,}\.$/, name);
      assert.match(when, /^[A-Z`].{10,}\.$/, name);
      assert.ok(fix.length > 0 && fix.every((one) => one.length > 3), name);
    }
  });

  test("has the exit code and the HTTP status of an error, and none for a reason", () => {
    const { exitCode, status, retryable } = explain("busy") ?? {};
    assert.deepEqual([exitCode, status, retryable], [9, 503, true]);
    assert.deepEqual([explain("crash loop")?.exitCode, explain("crash loop")?.status], [null, null]);
  });

  const spellings: [string, string, string][] = [
    ["not_found", "error", "not_found"],
    ["E_NOT_FOUND", "error", "not_found"],
    ["e_not_found", "error", "not_found"],
    ["urn:tutti:error:not_found", "error", "not_found"],
    ["not found", "reason", "not found"],
    ["check failed", "reason", "check failed"],
    ["check_failed", "error", "check_failed"],
    ["E_CHECK_FAILED", "error", "check_failed"],
    [" Crash Loop ", "reason", "crash loop"],
    ["crash_loop", "reason", "crash loop"],
    ["crash-loop", "reason", "crash loop"],
    ["too large", "error", "too_large"],
  ];
  for (const [text, kind, name] of spellings) {
    test(`is found as "${text}"`, () => assert.deepEqual([explain(text)?.kind, explain(text)?.name], [kind, name]));
  }

  test("is nothing else", () => {
    for (const text of ["", "constructor", "__proto__", "E_", "404", "not__found"]) assert.equal(explain(text), null, text);
  });

  test("names only verbs and options that the command line has", async () => {
    const { program } = await makeWholeProgram();
    const wrong: string[] = [];
    for (const { name, fix, when, means } of explanations()) {
      for (const text of [means, when, ...fix.map((one) => (one.startsWith("tutti ") ? `\`${one}\`` : one))]) {
        for (const [, line = ""] of text.matchAll(/`tutti ([^`]*)`/g)) {
          const words = line.split(" ").filter((word) => !/^[<"'].*|.*[>"']$/.test(word));
          let at = program;
          for (const word of words.filter((one) => !one.startsWith("-"))) {
            const next = at.commands.find((command) => command.name() === word);
            if (!next && at.registeredArguments.length === 0) wrong.push(`${name}: tutti ${line}`);
            at = next ?? at;
          }
          const known = [...at.options, ...program.options].map(({ long }) => long);
          for (const word of words.filter((one) => one.startsWith("--") && one !== "--help"))
            if (!known.includes(word)) wrong.push(`${name}: ${word}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  });
});
