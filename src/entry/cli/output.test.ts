import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  brief,
  count,
  cut,
  oneLine,
  pickFields,
  plain,
  setColours,
  shellWord,
  shownValue,
  stateText,
  styled,
  table,
  visible,
} from "./output.ts";

/** What an agent could write to steer a terminal, to hide something from its reader, or to look like something else. */
const hostile: [string, string][] = [
  ["a colour", "\u001b[31m"],
  ["a colour that never ends", "\u001b[38;2;255;0;0;1;4;5;7m"],
  ["clear the screen", "\u001b[2J"],
  ["clear what was scrolled away", "\u001b[3J"],
  ["go home", "\u001b[H"],
  ["go up and clear the line", "\u001b[1A\u001b[2K"],
  ["go far right", "\u001b[9999C"],
  ["the other screen", "\u001b[?1049h"],
  ["hide the cursor", "\u001b[?25l"],
  ["report the mouse", "\u001b[?1000h"],
  ["paste without brackets", "\u001b[?2004l"],
  ["ask where the cursor is", "\u001b[6n"],
  ["ask what terminal it is", "\u001b[c"],
  ["a sequence with intermediate bytes", "\u001b[!p"],
  ["a sequence that is not finished", "\u001b["],
  ["a sequence with a new line in it", "\u001b[3\n1m"],
  ["set the title", "\u001b]0;owned\u0007"],
  ["set the title, ended by ST", "\u001b]2;owned\u001b\\"],
  ["set the title, never ended", "\u001b]0;"],
  ["write to the clipboard", "\u001b]52;c;cm0gLXJmIH4=\u0007"],
  ["a link to elsewhere", "\u001b]8;;https://evil.example\u001b\\"],
  ["change the palette", "\u001b]4;1;rgb:00/00/00\u0007"],
  ["a device control string", "\u001bP+q544e\u001b\\"],
  ["a device control string, never ended", "\u001bP"],
  ["a privacy message", "\u001b^hidden\u001b\\"],
  ["an application command", "\u001b_Gf=100;AAAA\u001b\\"],
  ["a start of string", "\u001bXhidden\u001b\\"],
  ["reset the terminal", "\u001bc"],
  ["another alphabet", "\u001b(0"],
  ["another alphabet by shift out", "\u000e"],
  ["escape at the end", "\u001b"],
  ["escape twice", "\u001b\u001b[31m"],
  ["a sequence put together by taking one out of its middle", "\u001b\u001b[0m[31m"],
  ["one-byte CSI", "\u009b31m"],
  ["one-byte OSC", "\u009d0;owned\u009c"],
  ["one-byte OSC, never ended", "\u009d"],
  ["one-byte DCS", "\u0090q\u009c"],
  ["bell, backspace, delete", "\u0007\b\b\b\u007f"],
  ["back to the line's start", "real\rfake"],
  ["a form feed", "\u000c"],
  ["zero byte", "\u0000"],
  ["from right to left", "\u202egpj.exe"],
  ["an isolate from right to left", "\u2067evil\u2069"],
  ["letters that cannot be seen", "ad\u200bmin\u2060\ufeff"],
  ["text in tags", "\u{e0001}\u{e0068}\u{e0069}\u{e007f}"],
  ["other line ends", "one\u2028two\u2029three\u0085four"],
  ["a soft hyphen", "pass\u00adword"],
  ["an annotation", "\ufff9a\ufffab\ufffb"],
];

const dangerous = /[^\P{Cc}\t\n]|[\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u;

suite("hostile text", () => {
  for (const [what, text] of hostile) {
    test(`${what}: is harmless, and what stands around it stays`, () => {
      const whole = `before ${text}|after\nnext line`;
      assert.match(whole, dangerous);
      for (const clean of [plain(whole), visible(whole), shownValue("name", whole), shownValue("object", { [whole]: [whole] })]) {
        assert.doesNotMatch(clean, dangerous);
        assert.match(clean, /before /);
        assert.match(clean, /after/);
        assert.match(clean, /next line/);
      }
      assert.doesNotMatch(oneLine(whole), /\n/);
      const rows = table([{ text: whole }], [{ title: "TEXT", value: (row) => row.text }]).split("\n");
      assert.equal(rows.length, 2);
      // Colours alone may be left of it: each caller cleans its text first, and this is the second net.
      assert.doesNotMatch((rows[1] ?? "").replaceAll("\u001b[", ""), /\p{Cc}/u);
    });
  }

  test("a command that does not end in its line swallows nothing: an agent cannot hide the rest of what it wrote", () => {
    assert.equal(plain("a\u001b]0;b\nrm -rf\u0007c"), "a0;b\nrm -rfc");
    assert.equal(plain("a\u009d0;b\nc\u009cd"), "a0;b\ncd");
  });

  test("in a diff nothing is left out: what a terminal would obey or hide is shown as its code point", () => {
    assert.equal(visible("+ok\u001b[8mhidden\u001b[0m\u202e"), "+ok<U+001B>[8mhidden<U+001B>[0m<U+202E>");
    assert.equal(visible("a\r\nb\rc\td"), "a\nb<U+000D>c\td");
    assert.equal(visible("\u{e0041}"), "<U+E0041>");
  });

  test("ordinary text stays as it is: new lines, tabs, accents, emoji, other scripts", () => {
    const text = "Grüße\n\tΑθήνα 東京 שלום 🎻 e\u0301\n";
    assert.equal(plain(text), text);
    assert.equal(visible(text), text);
  });
});

suite("tables", () => {
  const columns = [
    { title: "ID", value: (row: { id: string }) => row.id },
    { title: "STATE", value: () => stateText("done", null) },
    { title: "TITLE", value: () => "a long title that does not fit" },
  ];
  const rows = [{ id: "T-1" }, { id: "T-1000" }];
  const columnsOf = (text: string): (number | undefined)[] => text.split("\n").map((line) => /a long|TITLE/.exec(line)?.index);

  test("the columns stand below each other, without spaces at the end of a line", () => {
    const text = table(rows, columns, {}, { isTTY: false, columns: 20 });
    assert.equal(new Set(columnsOf(text)).size, 1);
    assert.doesNotMatch(text, / $/m);
  });

  test("a pipe gets everything; a terminal lines of its width; a terminal that does not know its width everything", () => {
    assert.match(table(rows, columns, {}, { isTTY: false, columns: 20 }), /does not fit$/);
    const narrow = table(rows, columns, {}, { isTTY: true, columns: 24 }).split("\n");
    assert.deepEqual(
      narrow.map((line) => Array.from(line).length),
      [21, 24, 24],
    );
    assert.ok(narrow[1]?.endsWith("…"));
    assert.match(table(rows, columns, {}, { isTTY: true, columns: 0 }), /does not fit$/);
  });

  test("wide letters take two places and combining ones none", () => {
    const lines = table([{ id: "東京" }, { id: "e\u0301xyz" }, { id: "abcd" }], columns).split("\n");
    assert.deepEqual(
      lines.slice(1).map((line) => line.indexOf("✓") + (line.startsWith("東京") ? 2 : 0) - (line.startsWith("e\u0301") ? 1 : 0)),
      [6, 6, 6],
    );
  });

  test("of what a cell should not have had, only colours are left", () => {
    const text = table([{ id: "\u001b]0;owned\u0007x\u001b[2J\ny" }], columns.slice(0, 1));
    assert.equal(text, "ID\nx y");
  });

  test("cutting counts letters, not colours, and leaves the colours whole", () => {
    assert.equal(cut("\u001b[31mabcdef\u001b[39m", 4), "\u001b[31mabc…\u001b[39m");
    assert.equal(cut("東京都", 5), "東京…");
  });
});

suite("words", () => {
  test("each state has a sign and a word, its reason behind it; an unknown one is shown as it is", () => {
    assert.equal(stateText("done", null), "✓ done");
    assert.equal(stateText("needs you", "approval"), "? needs you: approval");
    assert.equal(stateText("something new", null), "· something new");
  });

  test("a cut is seen, and a number has its plural", () => {
    assert.equal(brief("one two\nthree", 20), "one two three");
    assert.equal(brief("one two three", 8), "one two…");
    assert.deepEqual([count(0, "task"), count(1, "task"), count(2, "task")], ["0 tasks", "1 task", "2 tasks"]);
  });

  test("a word for the shell stays one word", () => {
    assert.equal(shellWord("/people/ada/tutti"), "/people/ada/tutti");
    assert.equal(shellWord("it's $HOME"), "'it'\\''s $HOME'");
    assert.equal(shellWord(""), "''");
  });

  test("times are dates, structures JSON", () => {
    assert.equal(shownValue("createdAt", 0), "1970-01-01T00:00:00.000Z");
    assert.equal(shownValue("at", 1000), "1970-01-01T00:00:01.000Z");
    assert.equal(shownValue("limit", 4), "4");
    assert.equal(shownValue("settings", { a: [1] }), '{"a":[1]}');
  });
});

suite("how a list is wanted", () => {
  const columns = [
    { title: "ID", value: (row: { id: string }) => row.id },
    { title: "AGE", value: () => "1h", wide: true },
    { title: "TITLE", value: () => "a title that is long" },
  ];
  const rows = [{ id: "T-1" }];
  const narrow = { isTTY: true, columns: 8 };

  test("wide: every column, and no line is cut", () => {
    assert.match(table(rows, columns, {}, narrow), /^T-1 {2}a …$/m);
    assert.match(table(rows, columns, { wide: true }, narrow), /^T-1 {2}1h +a title that is long$/m);
  });

  test("by titles, in the order in which they were named; without titles; one that is not there is an error that names all", () => {
    assert.equal(table(rows, columns, { columns: ["title", "age"], headers: false }), "a title that is long  1h");
    assert.throws(() => table(rows, columns, { columns: ["nope"] }), { code: "invalid_input", why: "there are: id, age, title" });
  });

  test("fields of objects, of each item of a list, and of what lies in them", () => {
    assert.deepEqual(pickFields({ a: 1, b: 2 }, ["b"]), { b: 2 });
    assert.deepEqual(pickFields({ items: [{ a: { b: 1, c: 2 } }, { a: null }], next: "x" }, ["a.b"]), {
      items: [{ "a.b": 1 }, { "a.b": null }],
      next: "x",
    });
    for (const name of ["c", "a.c", "constructor", "toString"])
      assert.throws(() => pickFields({ a: { b: 1 } }, [name]), { code: "invalid_input" }, name);
  });

  test("colours as they were asked for, whatever the stream is; else as it is", () => {
    try {
      setColours("always");
      assert.equal(styled("red", "x", { isTTY: false }), "\u001b[31mx\u001b[39m");
      setColours("never");
      assert.equal(styled("red", "x", { isTTY: true }), "x");
    } finally {
      setColours("auto");
    }
  });
});
