import assert from "node:assert/strict";
import { test } from "node:test";
import { isFound } from "./find.ts";

test("every word must be found, in any of the texts and in any case", () => {
  assert.equal(isFound("goose OUT", ["goose", "Signed out"]), true);
  assert.equal(isFound("goose ready", ["goose", "Signed out"]), false);
});

test("nothing typed finds everything, also what has no text", () => {
  assert.equal(isFound("  ", [null, undefined]), true);
});
