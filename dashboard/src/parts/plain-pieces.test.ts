import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainPieces, plainString } from "./plain-pieces.ts";

/** Drawn as nothing, or moving what is drawn: none of these may be left in what a person reads. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u;

test("ordinary text stays one piece, also with accents, other scripts and emoji", () => {
  for (const text of ["plain", "línea ñ ü", "שלום עולם", "日本語", "👩‍💻 writes 👍🏽 1️⃣ ❤️ 🏳️‍🌈", "a\n\tb"]) {
    assert.deepEqual(plainPieces(text), [{ text }], text);
  }
  assert.deepEqual(plainPieces(""), []);
});

test("a character that hides, moves or commands becomes a mark with its code and name", () => {
  const marks: [string, string, RegExp][] = [
    ["\u202e", "\\u202e", /U\+202E right-to-left override/],
    ["\u2066", "\\u2066", /left-to-right isolate/],
    ["\u200b", "\\u200b", /zero width space/],
    ["\ufeff", "\\ufeff", /zero width no-break space/],
    ["\u00ad", "\\xad", /soft hyphen/],
    ["\u001b", "\\x1b", /escape/],
    ["\u0000", "\\x00", /null/],
    ["\u0007", "\\x07", /bell/],
    ["\r", "\\r", /carriage return/],
    ["\u009b", "\\x9b", /invisible or control/],
    ["\u2028", "\\u2028", /line separator/],
    ["\u{e0041}", "\\u{e0041}", /invisible tag/],
    ["\u3164", "\\u3164", /U\+3164/],
    ["\ufe01", "\\ufe01", /U\+FE01/],
    ["\u{e0100}", "\\u{e0100}", /U\+E0100/],
    ["\ud800", "\\ud800", /U\+D800/],
    ["\u200d", "\\u200d", /zero width joiner/],
    ["\ue000", "\\ue000", /U\+E000/],
  ];
  for (const [character, escape, name] of marks) {
    const pieces = plainPieces(`a${character}b`);
    assert.equal(pieces.length, 3, escape);
    assert.deepEqual([pieces[0], pieces[2]], [{ text: "a" }, { text: "b" }]);
    assert.equal(pieces[1]?.text, escape);
    assert.match(pieces[1]?.mark ?? "", name);
  }
});

test("line feeds and tabs are seen too where a name has no business with them", () => {
  assert.equal(plainString("a\n\tb", "all"), "a\\n\\tb");
  assert.equal(plainString("a\n\tb"), "a\n\tb");
});

test("an emoji cannot smuggle more than its own joiner and selector", () => {
  assert.equal(plainString("👍\ufe0f\ufe0e"), "👍\ufe0f\\ufe0e");
  assert.equal(plainString("a\u200db"), "a\\u200db");
  assert.equal(plainString("👍\u200dx"), "👍\\u200dx");
});

test("whatever the text: nothing unseen is left, and no mark is made of nothing", () => {
  const nasty = fc.string({
    unit: fc.oneof(
      fc.constantFrom("a", "b", " ", "\u202e", "\u200b", "\u001b", "\r", "\n", "\u{e0020}", "\ud83d", "👍", "❤", "\ufe0f"),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
  });
  fc.assert(
    fc.property(nasty, (text) => {
      for (const piece of plainPieces(text, "all")) {
        // Inside of an emoji its joiner and selector stay; nothing else that is unseen does.
        const bare = piece.text.replaceAll(/\p{Extended_Pictographic}[\ufe0f\u200d\p{Emoji_Modifier}\p{Extended_Pictographic}]*/gu, "");
        assert.doesNotMatch(bare, unseen);
        assert.notEqual(piece.text, "");
      }
    }),
    { numRuns: 2_000 },
  );
});
