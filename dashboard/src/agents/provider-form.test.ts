import assert from "node:assert/strict";
import { test } from "node:test";
import { setProvider } from "../../../src/models/commands.ts";
import { draftOf, keyWords, providerOf } from "./provider-form.ts";

const stored = {
  name: "near",
  protocol: "openai" as const,
  api: "chat" as const,
  baseUrl: "http://127.0.0.1:8080/v1",
  model: "m",
  keyName: "near",
  source: "store" as const,
};

test("a provider that is only opened and saved keeps its key", () => {
  const { input } = providerOf(draftOf(stored));
  assert.deepEqual(input, { name: "near", model: "m", protocol: "openai", baseUrl: "http://127.0.0.1:8080/v1" });
  assert.equal(setProvider.input.safeParse(input).success, true);
});

test("a form never begins with a key in it", () => {
  assert.equal(draftOf(stored).key, "");
});

test("a key is written or taken away, and taking away wins", () => {
  assert.equal(providerOf({ ...draftOf(stored), key: " sk-1 " }).input?.key, "sk-1");
  assert.equal(providerOf({ ...draftOf(stored), key: "sk-1", noKey: true }).input?.key, null);
});

test("what the server would refuse is said at its field", () => {
  assert.deepEqual(Object.keys(providerOf(draftOf(null)).problems), ["name", "model"]);
  assert.match(providerOf({ ...draftOf(stored), name: "demo" }).problems.name ?? "", /built-in/);
  assert.match(providerOf({ ...draftOf(stored), baseUrl: "ftp://x" }).problems.baseUrl ?? "", /http/);
  assert.match(providerOf({ ...draftOf(stored), baseUrl: "https://me:pw@x" }).problems.baseUrl ?? "", /password/);
  assert.match(providerOf({ ...draftOf(stored), key: "two words" }).problems.key ?? "", /one word/);
});

test("it is said where a key is, and never what", () => {
  assert.equal(keyWords(stored), "key kept by the server");
  assert.equal(keyWords({ ...stored, keyName: null }), "no key");
  assert.match(keyWords({ keyName: "environment", source: "environment" }), /environment/);
});
