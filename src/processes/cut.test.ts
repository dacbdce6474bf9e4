import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cutInTheMiddle } from "./cut.ts";

function cut(text: string, maxBytes: number, chunk = 3): { output: string; truncated: boolean } {
  const collected = cutInTheMiddle(maxBytes);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += chunk) collected.add(bytes.subarray(at, at + chunk));
  return collected.result();
}

test("what fits is kept whole", () => {
  assert.deepEqual(cut("0123456789", 10), { output: "0123456789", truncated: false });
  assert.deepEqual(cut("", 10), { output: "", truncated: false });
});

test("what is too long keeps its beginning and its end, and says how much is missing", () => {
  assert.deepEqual(cut("0123456789abc", 10), { output: "01234\n[... 3 bytes left out ...]\n89abc", truncated: true });
  assert.deepEqual(cut("0123456789", 1), { output: "0\n[... 9 bytes left out ...]\n", truncated: true });
});

test("a character that the cut divides is left out, not turned into another", () => {
  const { output } = cut("ééééééééé", 6);
  assert.equal(output, "é\n[... 12 bytes left out ...]\né");
});

test("any text in any chunks: beginning and end are right, and the size is bounded", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 70 }), (ascii, max, chunk) => {
      const text = ascii.replace(/[^ -~]/g, "x");
      const { output, truncated } = cut(text, max, chunk);
      assert.equal(truncated, text.length > max);
      if (!truncated) return assert.equal(output, text);
      const [head = "", tail = ""] = output.split(/\n\[\.\.\. \d+ bytes left out \.\.\.\]\n/);
      assert.ok(text.startsWith(head) && text.endsWith(tail));
      assert.equal(head.length + tail.length, max);
    }),
  );
});
