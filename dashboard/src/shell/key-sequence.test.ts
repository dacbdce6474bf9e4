import assert from "node:assert/strict";
import { test } from "node:test";
import { nameOf, stepOf } from "./key-sequence.ts";

const press = (key: string, more: object = {}) => nameOf({ key, ctrlKey: false, metaKey: false, altKey: false, ...more });

test("keys have the names that people write", () => {
  assert.equal(press("a"), "a");
  assert.equal(press("G"), "G");
  assert.equal(press(" "), "Space");
  assert.equal(press("K", { metaKey: true }), "mod+k");
  assert.equal(press("Enter", { ctrlKey: true }), "mod+enter");
});

test("a modifier alone, and what belongs to the system, is no key of ours", () => {
  for (const key of ["Shift", "Control", "Meta", "Dead"]) assert.equal(press(key), null);
  assert.equal(press("a", { altKey: true }), null);
});

test("a sequence waits for its end, and what does not fit it is tried by itself", () => {
  const bound = ["g i", "g f", "a", "i"];
  assert.deepEqual(stepOf("", "g", bound), { kind: "wait", pending: "g" });
  assert.deepEqual(stepOf("g", "i", bound), { kind: "run", keys: "g i" });
  assert.deepEqual(stepOf("g", "a", bound), { kind: "run", keys: "a" });
  assert.deepEqual(stepOf("g", "g", bound), { kind: "wait", pending: "g" });
  assert.deepEqual(stepOf("g", "z", bound), { kind: "none" });
  assert.deepEqual(stepOf("", "i", bound), { kind: "run", keys: "i" });
});
