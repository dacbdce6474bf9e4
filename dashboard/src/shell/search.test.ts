import assert from "node:assert/strict";
import { test } from "node:test";
import { oneOf, search, text, texts } from "./search.ts";

const read = search({ q: text, view: oneOf("board", "list"), open: texts });

test("an address says what a page shows", () => {
  assert.deepEqual(read({ q: "fix", view: "list", open: ["all", "p-1"] }), { q: "fix", view: "list", open: ["all", "p-1"] });
});

test("whatever else stands in it is nothing, and takes nothing else away", () => {
  assert.deepEqual(read({ q: 7, view: "constructor", open: "all", other: "x" }), {});
  assert.deepEqual(read({ q: "x".repeat(201), open: ["a", 1], view: "board" }), { view: "board" });
  assert.deepEqual(read({ open: Array.from({ length: 101 }, () => "a") }), {});
  assert.deepEqual(read({}), {});
});
