import assert from "node:assert/strict";
import test from "node:test";
import { editFor } from "./edits.ts";
import { mutationsOf } from "./mutations.ts";
import { candidatesFor, namesInTests, regionsOf } from "./suspects.ts";
import { tokensOf } from "./tokens.ts";

/** Every text that one small change makes of this one. */
const variants = (source: string): string[] =>
  mutationsOf(source).map(({ start, end, text }) => source.slice(0, start) + text + source.slice(end));

test("each usual slip is undone by one of the changes", () => {
  const slips: [wrong: string, right: string][] = [
    ["a - b", "a + b"],
    ["sum += x", "sum -= x"],
    ["a * b", "a / b"],
    ["price + quantity", "price * quantity"],
    ["i < n", "i <= n"],
    ["i >= n", "i > n"],
    ["a < b", "a > b"],
    ["a === b", "a !== b"],
    ["a && b", "a || b"],
    ["f(true)", "f(false)"],
    ["x.slice(1)", "x.slice(0)"],
    ["x.slice(1)", "x.slice(2)"],
    ["Math.min(a, b)", "Math.max(a, b)"],
    ["list.some(f)", "list.every(f)"],
    ["clamp(high, low)", "clamp(low, high)"],
    ["list.sort((a, b) => b.size - a.size)", "list.sort((a, b) => a.size - b.size)"],
    ["if (!ready) go()", "if (ready) go()"],
    ["function f(a) {\n  a + 1;\n}", "function f(a) {\n  return a + 1;\n}"],
    ["const f = (a) => { g(a) }", "const f = (a) => { return g(a) }"],
  ];
  for (const [wrong, right] of slips) assert.ok(variants(wrong).includes(right), `${wrong} -> ${right}`);
});

test("texts, comments, templates, regular expressions and lone signs are left alone", () => {
  assert.deepEqual(
    mutationsOf('const a = "1 + 1"; // 2 - 2\n/* a && b */ const b = `x < ${"y"} 1`; const c = /a+b|1/; const d = [...a];'),
    [],
  );
  assert.deepEqual(
    tokensOf("a = b / c; d = e.f / 2").map(({ text }) => text),
    ["a", "=", "b", "/", "c", ";", "d", "=", "e", ".", "f", "/", "2"],
  );
  assert.deepEqual(
    tokensOf("`a ${`b ${c} }`} d` + 1").map(({ kind }) => kind),
    ["text", "punctuation", "number"],
  );
});

test("the cutting of a text into tokens ends for any text and loses no place", () => {
  for (const source of ["", "`", "`${", "'", '"\\', "/*", "/", "a /", "}{", "`${`${`", "\u0000", "0x", "1.2.3", "…"]) {
    for (const token of tokensOf(source)) assert.equal(source.slice(token.start, token.end), token.text);
  }
});

test("what the failing test uses is tried first, then what that uses, then the rest", () => {
  const source =
    "export function far(a) { return a + 1; }\nfunction near(a) { return a + 2; }\nexport function used(a) { return near(a) + 3; }\n";
  const names = namesInTests('test("x", () => used(1));\ntest("y", () => far(1));\n', [{ name: "x", file: "t.js", line: 1 }]);
  const order = candidatesFor(new Map([["s.js", source]]), names).map(({ where }) => where);
  assert.deepEqual([...new Set(order)], ["used", "near", "far"]);
  assert.deepEqual(
    regionsOf(source).map((region) => region.names[0]),
    ["far", "near", "used"],
  );
});

test("an edit takes as many lines as make it unique, before and after", () => {
  const text = "a {\n  x + 1;\n}\nb {\n  x + 1;\n}\n";
  const at = text.lastIndexOf("+");
  const edit = editFor("f.js", text, { start: at, end: at + 1, text: "-" });
  assert.equal(edit?.after, "a {\n  x + 1;\n}\nb {\n  x - 1;\n}\n");
  assert.deepEqual(edit?.apply.input, { path: "f.js", oldText: "b {\n  x + 1;\n}", newText: "b {\n  x - 1;\n}" });
  assert.deepEqual(edit?.revert.input, { path: "f.js", oldText: "b {\n  x - 1;\n}", newText: "b {\n  x + 1;\n}" });
});
