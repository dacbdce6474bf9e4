import assert from "node:assert/strict";
import test from "node:test";
import { discounted, subtotal, total } from "../src/prices.js";

test("the subtotal is each price as often as it was ordered", () => {
  assert.equal(subtotal([]), 0);
  assert.equal(subtotal([{ price: 450, quantity: 3 }]), 1350);
  assert.equal(
    subtotal([
      { price: 450, quantity: 2 },
      { price: 990, quantity: 1 },
    ]),
    1890,
  );
});

test("delivery is free from the given sum on", () => {
  const terms = { delivery: 390, freeFrom: 3000 };
  assert.equal(total([{ price: 1000, quantity: 2 }], terms), 2390);
  assert.equal(total([{ price: 1000, quantity: 3 }], terms), 3000);
});

test("a discount is rounded in favour of the customer", () => {
  assert.equal(discounted(999, 10), 899);
  assert.equal(discounted(1000, 0), 1000);
});
