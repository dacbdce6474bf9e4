import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest, suggest } from "./suggest.ts";

test("a word with one letter in three wrong, missing, added or swapped is recognised", () => {
  const keys = ["agent", "prompt", "prompt-file", "run", "to"];
  const meant = {
    agnt: "agent",
    agetn: "agent",
    AGENT: "agent",
    prompts: "prompt",
    prompt_file: "prompt-file",
    rum: "run",
    ot: "to",
    t: null,
    x: null,
    repeat: null,
  };
  for (const [word, expected] of Object.entries(meant)) assert.equal(nearest(word, keys), expected, word);
  assert.equal(nearest("", keys), null);
  assert.equal(nearest("x".repeat(100_000), keys), null);
});

test("a suggestion is a question, or what else may be done", () => {
  assert.equal(suggest("agnt", ["agent"], "no"), "did you mean `agent`?");
  assert.equal(suggest("zzz", ["agent"], "the keys are: agent"), "the keys are: agent");
  assert.equal(suggest("zzz", [], null), null);
});
