import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { canonical } from "../canonical.ts";
import { emptyHead, nextHead, sha256 } from "./chain.ts";

const shuffled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, shuffled(inner)]),
  );
};

test("equal data has one text, whatever the order of its keys, and the text is the data", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
      assert.equal(canonical(shuffled(data)), canonical(data));
      assert.deepEqual(JSON.parse(canonical(data)), JSON.parse(JSON.stringify(data)));
    }),
  );
});

test("keys are sorted at every depth, arrays keep their order, undefined is left out", () => {
  assert.equal(
    canonical({ b: [{ z: 1, y: undefined, x: 2 }, 3], a: { d: null, c: "ö" } }),
    '{"a":{"c":"ö","d":null},"b":[{"x":2,"z":1},3]}',
  );
});

test("a head is the hash of the one before, the payload's hash, stream, number and type, each on its line", () => {
  const payload = sha256("{}");
  const first = nextHead(emptyHead, { stream: "p", type: "task.created" }, payload);
  const text = `\n${payload}\np\n1\ntask.created`;
  assert.deepEqual(first, { seq: 1, head: createHash("sha256").update(text).digest("hex") });
  const second = nextHead(first, { stream: "p", type: "task.created" }, payload);
  assert.equal(second.seq, 2);
  assert.notEqual(second.head, first.head);
});

test("every part of an event moves the head", () => {
  const before = { seq: 4, head: "h" };
  const heads = [
    nextHead(before, { stream: "p", type: "t" }, "x"),
    nextHead(before, { stream: "q", type: "t" }, "x"),
    nextHead(before, { stream: "p", type: "u" }, "x"),
    nextHead(before, { stream: "p", type: "t" }, "y"),
    nextHead({ seq: 5, head: "h" }, { stream: "p", type: "t" }, "x"),
    nextHead({ seq: 4, head: "i" }, { stream: "p", type: "t" }, "x"),
  ];
  assert.equal(new Set(heads.map(({ head }) => head)).size, heads.length);
});
