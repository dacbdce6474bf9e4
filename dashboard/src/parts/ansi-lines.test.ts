import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ansiLines } from "./ansi-lines.ts";

const textOf = (input: string): string =>
  ansiLines(input)
    .map((line) => line.map((span) => span.text).join(""))
    .join("\n");

test("colours and weights become styles, and go on over the end of a line", () => {
  assert.deepEqual(ansiLines("a\u001b[1;31mred\nstill\u001b[0m off"), [
    [{ text: "a" }, { text: "red", bold: true, fg: "red" }],
    [{ text: "still", bold: true, fg: "red" }, { text: " off" }],
  ]);
  assert.deepEqual(ansiLines("\u001b[2;3;4;9;42mx\u001b[22;23;24;29;49my"), [
    [{ text: "x", dim: true, italic: true, underline: true, strike: true, bg: "green" }, { text: "y" }],
  ]);
  assert.deepEqual(ansiLines("\u001b[91mx\u001b[39my"), [[{ text: "x", fg: "red" }, { text: "y" }]]);
});

test("the 256 and the 16 million colours fall to the nearest of the theme's", () => {
  const colour = (codes: string) => ansiLines(`\u001b[${codes}mx`)[0]?.[0];
  assert.equal(colour("38;5;1")?.fg, "red");
  assert.equal(colour("38;5;46")?.fg, "green");
  assert.equal(colour("38;5;21")?.fg, "blue");
  assert.equal(colour("38;5;240")?.fg, "black");
  assert.equal(colour("38;5;250")?.fg, "white");
  assert.equal(colour("38;2;255;200;0")?.fg, "yellow");
  assert.equal(colour("48;2;0;200;200")?.bg, "cyan");
  assert.deepEqual(colour("38;2;250;0;0;1"), { text: "x", fg: "red", bold: true }, "what follows the colour's own parameters is read");
});

test("text cannot be concealed: codes 7 and 8 change nothing", () => {
  assert.deepEqual(ansiLines("\u001b[8mhidden\u001b[7mturned"), [[{ text: "hiddenturned" }]]);
});

test("a carriage return shows the last state of its line, and one at the end keeps it", () => {
  assert.equal(textOf("10 %\r55 %\r100 %\n"), "100 %");
  assert.equal(textOf("done\r\nnext\r\n"), "done\nnext");
  assert.equal(textOf("50 %\r"), "50 %");
  assert.equal(textOf("\u001b[31m50 %\r\u001b[32m60 %\u001b[0m"), "60 %");
});

test("every other sequence is taken out: cursor, screen, title, clipboard, links, device strings, in both forms", () => {
  const inputs = [
    "a\u001b[2J\u001b[1;1Hb",
    "a\u001b[?1049hb",
    "a\u001b]0;title\u0007b",
    "a\u001b]52;c;cm0gLXJm\u001b\\b",
    "a\u001b]8;;https://evil.example\u001b\\b\u001b]8;;\u001b\\",
    "a\u001bPq#0;2;0;0;0\u001b\\b",
    "a\u009b31mb",
    "a\u009d0;title\u009cb",
    "a\u001b(Bb",
    "a\u001bcb",
    "a\u001b[b", // CSI b: repeat
  ];
  for (const input of inputs.slice(0, -1)) assert.equal(textOf(input), "ab", JSON.stringify(input));
  assert.equal(textOf(inputs.at(-1) ?? ""), "a");
});

test("a sequence that never ends cannot swallow the log", () => {
  assert.equal(textOf("a\u001b]0;open\nthe next line\u0007"), "a0;open\nthe next line\u0007");
  assert.equal(textOf(`a\u001b]0;${"x".repeat(5_000)}`).length, 5_003);
  assert.equal(textOf(`a\u001b]0;${"x".repeat(5_000)}\u0007b`).length, 5_005, "one that hides five thousand characters is no title");
});

test("whatever a program prints: no escape is left, and no line is lost", () => {
  const unit = fc.oneof(
    fc.constantFrom("\u001b", "[", "]", "m", ";", "3", "1", "\u009b", "\u0007", "\r", "\\", "a"),
    fc.string({ maxLength: 1 }),
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
      const lines = ansiLines(text);
      assert.equal(lines.length, text === "" || text === "\n" ? 0 : text.replace(/\n$/, "").split("\n").length);
      for (const span of lines.flat()) for (const left of "\u001b\u009b\u009d\n\r") assert.ok(!span.text.includes(left));
    }),
    { numRuns: 3_000 },
  );
});

test("a megabyte of escapes is read in well under a second", () => {
  const began = performance.now();
  ansiLines("\u001b[31mx\u001b]0;".repeat(80_000));
  ansiLines("\u001b]".repeat(300_000));
  ansiLines(`\u001b[${"1;".repeat(400_000)}`);
  assert.ok(performance.now() - began < 3_000);
});
