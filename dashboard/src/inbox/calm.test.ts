import assert from "node:assert/strict";
import { test } from "node:test";
import { calm, settled } from "./calm.ts";

const item = (id: string, group = "blocked") => ({ id, group });
const ids = (items: readonly { id: string }[]) => items.map(({ id }) => id).join("");

test("what was resolved elsewhere stays where it was, marked as gone, until the person turns away", () => {
  const shown = settled([item("a"), item("b"), item("c")]);
  const after = calm(shown, [item("a"), item("c")], false);
  assert.equal(ids(after.items), "abc");
  assert.deepEqual([...after.gone], ["b"]);
  assert.equal(ids(calm(after, [item("c")], false).items), "abc");
  assert.equal(ids(settled([item("a"), item("c")]).items), "ac");
});

test("what the person has dealt with leaves at once, also while they point at the list", () => {
  const shown = settled([item("a"), item("b")]);
  assert.equal(ids(calm(shown, [item("b")], true, new Set(["a"])).items), "b");
  assert.equal(ids(calm(shown, [item("a"), item("b")], true, new Set(["a"])).items), "ab");
});

test("new things wait while the person points at the list, and are counted", () => {
  const shown = settled([item("b")]);
  const after = calm(shown, [item("a"), item("b")], true);
  assert.equal(ids(after.items), "b");
  assert.equal(after.waiting, 1);
  assert.equal(ids(calm(after, [item("a"), item("b")], false).items), "ab");
});

test("an empty list shows at once what comes", () => {
  assert.equal(ids(calm(settled([]), [item("a")], true).items), "a");
});

test("groups stay together", () => {
  const shown = settled([item("a"), item("x", "failed")]);
  const after = calm(shown, [item("n"), item("x", "failed"), item("y", "failed")], false);
  assert.deepEqual(
    after.items.map(({ group }) => group),
    ["blocked", "blocked", "failed", "failed"],
  );
});
