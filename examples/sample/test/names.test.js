import assert from "node:assert/strict";
import test from "node:test";
import { label, slug } from "../src/names.js";

test("a name becomes a part of an address", () => {
  assert.equal(slug("Earl Grey, loose"), "earl-grey-loose");
  assert.equal(slug(" Sencha! "), "sencha");
});

test("a label is never wider than asked", () => {
  assert.equal(label("Assam", 5), "Assam");
  assert.equal(label("Darjeeling", 5), "Darj…");
});
