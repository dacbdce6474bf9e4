import assert from "node:assert/strict";
import { test } from "node:test";
import { beamShape } from "./beam-shape.ts";
import { ageWords, countWords, durationIso, durationWords, moneyWords } from "./figures.ts";
import { imageHost, linkTarget } from "./link-target.ts";
import { markdownBlocks } from "./markdown-blocks.ts";
import { stepKey, stepsOf, treeRows } from "./rows.ts";

test("a beam stands from loudest to quietest, its parts and its rest make one whole, and it can be read aloud", () => {
  const shape = beamShape({ done: 20, running: 48, "needs you": 2, queued: 0 }, 100);
  assert.deepEqual(shape.parts.map((part) => [part.state, part.share]), [["needs you", 0.02], ["running", 0.48], ["done", 0.2]]); // prettier-ignore
  assert.ok(Math.abs(shape.rest - 0.3) < 1e-9);
  assert.equal(shape.words, "2 need you, 48 running, 20 done");
  assert.equal(beamShape({ "needs you": 1 }).words, "1 needs you");
});

test("a beam without counts, or with impossible ones, is empty and not broken", () => {
  assert.deepEqual(beamShape({}), { parts: [], rest: 1, words: "nothing yet" });
  assert.deepEqual(beamShape({ running: -3, done: Number.NaN, failed: Number.POSITIVE_INFINITY }).parts, []);
  assert.equal(beamShape({ running: 5 }, 2).parts[0]?.share, 1, "a total that is too small is not believed");
});

test("an age has one unit and is never negative", () => {
  const words = [-5_000, 0, 999, 12_000, 59_999, 60_000, 3_599_000, 3_600_000, 86_399_000, 86_400_000, 9e9].map(ageWords);
  assert.deepEqual(words, ["now", "now", "now", "12s", "59s", "1m", "59m", "1h", "23h", "1d", "104d"]);
});

test("a duration reads as on a clock, and below ten seconds has a tenth", () => {
  const words = [0, 400, 9_949, 9_950, 20_000, 806_000, 3_723_000, -1].map(durationWords);
  assert.deepEqual(words, ["0.0 s", "0.4 s", "9.9 s", "0:10", "0:20", "13:26", "1:02:03", ""]);
  assert.equal(durationIso(1_500), "PT1.5S");
});

test("money says cents, and something below a cent is not nothing", () => {
  assert.deepEqual([0, 0.001, 0.005, 1.66, 6_120].map(moneyWords), ["$0.00", "<$0.01", "$0.01", "$1.66", "$6,120.00"]);
  assert.deepEqual([countWords(1_902_410), countWords(1_902_410, true)], ["1,902,410", "1.9M"]);
});

test("links lead to https with its host, to mail, or inside; to nothing else", () => {
  assert.deepEqual(linkTarget("https://Example.com/a?b#c"), { kind: "outside", href: "https://example.com/a?b#c", host: "example.com" });
  assert.deepEqual(linkTarget("https://аpple.com"), { kind: "outside", href: "https://xn--pple-43d.com/", host: "xn--pple-43d.com" });
  assert.deepEqual(linkTarget("mailto:mara@halden.example?bcc=spy@evil.example&body=x"), {
    kind: "mail",
    href: "mailto:mara@halden.example",
    host: "halden.example",
  });
  assert.deepEqual(linkTarget("/tasks/T-1?tab=diff"), { kind: "inside", href: "/tasks/T-1?tab=diff" });
  assert.deepEqual(linkTarget("#part"), { kind: "inside", href: "#part" });
  const refused = [
    "", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "\u0001javascript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
    "http://plain.example/", "ftp://x.example", "blob:https://x/1", "tutti://open", "//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example", "\\\\evil.example",
    "https://bank.example@evil.example/", "https://user:pass@evil.example/", "https:", "https://", "relative/path", "mailto:", "mailto:a@b,c@d", "mailto:nobody", `https://x.example/${"a".repeat(3_000)}`,
  ]; // prettier-ignore
  for (const address of refused) assert.equal(linkTarget(address), undefined, JSON.stringify(address));
});

test("the host of a picture that is not loaded can be named, whatever its address", () => {
  assert.deepEqual(["https://evil.example/p.png", "data:image/png;base64,x", "local.png", "//x/y"].map(imageHost), [
    "evil.example",
    "data",
    "this site",
    "this site",
  ]);
});

test("Markdown is cut where a block has ended, never in a fence or a list", () => {
  const texts = (text: string) => markdownBlocks(text, 0).map((block) => block.text.trim());
  assert.deepEqual(texts("one\n\ntwo\nstill two\n\n\nthree"), ["one", "two\nstill two", "three"]);
  assert.deepEqual(texts("```ts\na\n\nb\n```\n\nafter"), ["```ts\na\n\nb\n```", "after"]);
  assert.deepEqual(texts("````\n```\n\nx\n````\n\nafter"), ["````\n```\n\nx\n````", "after"]);
  assert.deepEqual(texts("```\nopen\n\nstill open"), ["```\nopen\n\nstill open"]);
  assert.deepEqual(texts("1. a\n\n2. b\n\n   more of b\n\nafter"), ["1. a\n\n2. b\n\n   more of b", "after"]);
  assert.deepEqual(texts(" \n\n"), []);
});

test("a growing answer changes only its last block", () => {
  const whole = "# head\n\npara one\n\n- a\n- b\n\n```\ncode\n\nmore\n```\n\nend";
  let last: string[] = [];
  for (let length = 1; length <= whole.length; length += 1) {
    const now = markdownBlocks(whole.slice(0, length), 0).map((block) => block.text.trim());
    assert.deepEqual(now.slice(0, Math.max(0, last.length - 1)), last.slice(0, -1));
    last = now;
  }
});

test("short blocks stay together, long ones are cut", () => {
  const paragraph = `${"word ".repeat(60)}\n\n`;
  assert.equal(markdownBlocks(paragraph.repeat(3)).length, 1);
  assert.equal(markdownBlocks(paragraph.repeat(40)).length, 10);
});

test("what is too long or too deep is shown plain instead of being parsed", () => {
  for (const text of [
    ">".repeat(500),
    "- ".repeat(500),
    "1. ".repeat(400),
    `${" ".repeat(200)}- x`,
    "[".repeat(3_000),
    "*a ".repeat(5_000),
    "x".repeat(20_000),
  ]) {
    assert.equal(markdownBlocks(text)[0]?.plain, true, text.slice(0, 12));
  }
  assert.equal(markdownBlocks("> > - ordinary\n\n1. list")[0]?.plain, false);
});

test("moving in a list stops at its ends, and begins at the end it is entered from", () => {
  const keys = ["a", "b", "c"];
  assert.deepEqual(
    [stepKey(keys, "a", 1), stepKey(keys, "c", 1), stepKey(keys, "b", -10), stepKey(keys, "a", Infinity)],
    ["b", "c", "a", "c"],
  );
  assert.deepEqual([stepKey(keys, null, 1), stepKey(keys, "gone", -1), stepKey([], "a", 1)], ["a", "c", undefined]);
  assert.deepEqual(
    [stepsOf("j", 10, true), stepsOf("j", 10, false), stepsOf("PageUp", 10, false), stepsOf("Enter", 10, true)],
    [1, undefined, -10, undefined],
  );
});

test("a tree shows the children of what is open, with level, position and parent, and a circle only once", () => {
  interface Node {
    id: string;
    below?: Node[];
  }
  const loop: Node = { id: "loop" };
  loop.below = [loop, { id: "leaf" }];
  const roots: Node[] = [{ id: "a", below: [{ id: "a1" }, { id: "a2", below: [{ id: "a2x" }] }] }, { id: "b", below: [] }, loop];
  const rows = treeRows(roots, (node) => node.id, (node) => node.below, new Set(["a", "loop"])); // prettier-ignore
  assert.deepEqual(
    rows.map((row) => [row.key, row.level, row.expanded, `${row.position}/${row.siblings}`, row.parent]),
    [
      ["a", 1, true, "1/3", undefined],
      ["a1", 2, undefined, "1/2", "a"],
      ["a2", 2, false, "2/2", "a"],
      ["b", 1, undefined, "2/3", undefined],
      ["loop", 1, true, "3/3", undefined],
      ["leaf", 2, undefined, "2/2", "loop"],
    ],
  );
});
