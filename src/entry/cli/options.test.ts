import assert from "node:assert/strict";
import { test } from "node:test";
import { idOf, number, pairs, wholeNumber } from "./options.ts";

test("ids are understood in small letters; names stay as they are", () => {
  assert.deepEqual(["t-1", "R-2", "s-30", "a-4"].map(idOf), ["T-1", "R-2", "S-30", "A-4"]);
  assert.deepEqual(["tea", "t-", "t-1x", "x-1", ""].map(idOf), ["tea", "t-", "t-1x", "x-1", ""]);
});

test("numbers are numbers, and say what they are for when not", () => {
  assert.equal(number("--minutes", "0.5"), 0.5);
  assert.equal(wholeNumber("--limit", "3", 1), 3);
  for (const text of ["", " ", "x", "NaN", "Infinity", "-1", "1e999"]) {
    assert.throws(() => number("--minutes", text), { code: "invalid_input", message: "--minutes must be a number" });
  }
  assert.throws(() => wholeNumber("--limit", "0", 1), { code: "invalid_input", message: "--limit must be a number from 1" });
  assert.throws(() => wholeNumber("--limit", "1.5"), { code: "invalid_input", message: "--limit must be a whole number" });
});

test("a pair is split at its first sign", () => {
  assert.deepEqual(pairs("--input", ["a=b=c", "d="]), [
    ["a", "b=c"],
    ["d", ""],
  ]);
  assert.throws(() => pairs("--input", ["=x"]), { code: "invalid_input" });
  assert.throws(() => pairs("--input", ["x"]), { code: "invalid_input" });
});
