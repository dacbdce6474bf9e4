import assert from "node:assert/strict";
import { test } from "node:test";
import { Detection } from "../../../src/agents/agent.ts";
import { stateOf } from "../../../src/agents/state.ts";
import { credentialsWords, detectionGlyph, kindWords, modelWords, permissionsWords } from "./agent-words.ts";

const settings = { env: {}, credentials: "none", permissions: "auto" } as const;

test("what cannot be used looks as loud as the server says that it is", () => {
  for (const state of Detection.shape.state.options) {
    if (state !== "ready") assert.equal(detectionGlyph[state], stateOf({ state }, 0).state);
  }
});

test("an agent is named by its program, or by where its model is", () => {
  assert.equal(kindWords({ backend: "acp", settings: { ...settings, preset: "goose" } }), "goose over ACP");
  assert.equal(kindWords({ backend: "command", settings: { ...settings, command: ["/bin/x", "-p"] } }), "/bin/x, once for each turn");
  assert.equal(kindWords({ backend: "model", settings: { ...settings, provider: "openai" } }), "a model at openai");
});

test("nobody is promised a question by a program that cannot ask", () => {
  assert.equal(permissionsWords("ask", "command").title, "Refused");
  assert.equal(permissionsWords("ask", "acp").title, "Asks you");
});

test("a model is not said to be a program that signs in", () => {
  assert.match(credentialsWords("key", "acp").text, /program/);
  assert.doesNotMatch(credentialsWords("key", "model").text, /program/);
});

test("without provider and model there is nothing to say", () => {
  assert.equal(modelWords({}), null);
  assert.equal(modelWords({ provider: "openai", model: "m" }), "openai, m");
});
