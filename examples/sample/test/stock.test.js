import assert from "node:assert/strict";
import test from "node:test";
import { canServe, toReorder } from "../src/stock.js";

test("the last packet can be sold too, but not more than there are", () => {
  assert.equal(canServe(5, 4), true);
  assert.equal(canServe(5, 5), true);
  assert.equal(canServe(5, 6), false);
  assert.equal(canServe(5, 0), false);
});

test("teas are ordered again when fewer than the least are left", () => {
  assert.deepEqual(toReorder({ assam: 2, sencha: 10, rooibos: 9 }, 10), ["assam", "rooibos"]);
});
