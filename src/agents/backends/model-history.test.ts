import assert from "node:assert/strict";
import test from "node:test";
import type { ModelMessage } from "ai";
import { makeHistory } from "./model-history.ts";

const prompt: ModelMessage = { role: "user", content: "go" };
const own = { vendor: { itemId: "rs_1", signature: "s" } };
const answer: ModelMessage = {
  role: "assistant",
  content: [
    { type: "reasoning", text: "I think", providerOptions: own },
    { type: "text", text: "I look", providerOptions: own },
    { type: "tool-call", toolCallId: "functions.read:0", toolName: "read", input: { path: "a" }, providerOptions: own },
  ],
};
const result: ModelMessage = {
  role: "tool",
  content: [{ type: "tool-result", toolCallId: "functions.read:0", toolName: "read", output: { type: "text", value: "hello" } }],
};

test("who said something gets it back as it was; others without thoughts, signatures, and letters that not all take in ids", () => {
  const history = makeHistory<string>();
  history.add(prompt);
  history.addBy("one", answer, result);
  assert.deepEqual(history.for("one"), [prompt, answer, result]);
  assert.deepEqual(history.for("two"), [
    prompt,
    {
      role: "assistant",
      content: [
        { type: "text", text: "I look" },
        { type: "tool-call", toolCallId: "functions_read_0", toolName: "read", input: { path: "a" } },
      ],
    },
    {
      role: "tool",
      content: [{ type: "tool-result", toolCallId: "functions_read_0", toolName: "read", output: { type: "text", value: "hello" } }],
    },
  ]);
  assert.deepEqual(history.for("one"), [prompt, answer, result], "it is still there");
});

test("an answer of which nothing is left is still an answer: two prompts in a row are refused by some", () => {
  const history = makeHistory<string>();
  history.addBy("one", { role: "assistant", content: [{ type: "reasoning", text: "hm" }] });
  assert.deepEqual(history.for("two"), [{ role: "assistant", content: "(no answer)" }]);
});
