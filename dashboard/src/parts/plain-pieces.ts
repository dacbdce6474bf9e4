/**
 * Text of agents, made honest. An agent may write characters that are not seen (zero width, tags), that move what is seen
 * (bidirectional overrides: https://trojansource.codes), or that a terminal obeys. Each becomes a small mark with its code.
 */
export interface Piece {
  text: string;
  /** What the mark stands for ("U+202E right-to-left override"); undefined: ordinary text. */
  mark?: string;
}

const names: Readonly<Record<number, string>> = {
  0x00: "null",
  0x07: "bell",
  0x08: "backspace",
  0x09: "tab",
  0x0a: "line feed",
  0x0d: "carriage return",
  0x1b: "escape",
  0x7f: "delete",
  0xad: "soft hyphen",
  0x200b: "zero width space",
  0x200c: "zero width non-joiner",
  0x200d: "zero width joiner",
  0x200e: "left-to-right mark",
  0x200f: "right-to-left mark",
  0x2028: "line separator",
  0x2029: "paragraph separator",
  0x202a: "left-to-right embedding",
  0x202b: "right-to-left embedding",
  0x202c: "pop directional formatting",
  0x202d: "left-to-right override",
  0x202e: "right-to-left override",
  0x2060: "word joiner",
  0x2066: "left-to-right isolate",
  0x2067: "right-to-left isolate",
  0x2068: "first strong isolate",
  0x2069: "pop directional isolate",
  0xfeff: "zero width no-break space",
};

/* Controls, formats, lone surrogates, the two separators, private use, and whatever Unicode says is drawn as nothing (variation
   selectors, tags, Hangul fillers). An emoji may keep the joiner and the selector inside of it: there they change only its drawing. */
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const ordinary = /^[\n\t\x20-\x7e]*$/;
const tokens =
  /(?:\p{Extended_Pictographic}|[#*0-9]\ufe0f?\u20e3)(?:\ufe0f|\p{Emoji_Modifier})?(?:\u200d\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier})?)*|[^]/gu;

/**
 * Cuts text into ordinary pieces and marks. Line feeds and tabs stay, unless `marked` says that they too shall be seen (a file
 * name has no business with them).
 */
export function plainPieces(text: string, marked: "controls" | "all" = "controls"): Piece[] {
  if (marked === "controls" && ordinary.test(text)) return text === "" ? [] : [{ text }];
  const pieces: Piece[] = [];
  let run = "";
  for (const [token] of text.matchAll(tokens)) {
    const code = token.codePointAt(0) ?? 0;
    const kept =
      token.length > (code > 0xffff ? 2 : 1) || // an emoji of several code points
      (marked === "controls" && (code === 0x0a || code === 0x09)) ||
      !hidden.test(token);
    if (kept) {
      run += token;
      continue;
    }
    if (run !== "") pieces.push({ text: run });
    run = "";
    pieces.push({ text: escapeOf(code), mark: nameOf(code) });
  }
  if (run !== "") pieces.push({ text: run });
  return pieces;
}

/** The same as one string: what is copied, used as a title, or read aloud. */
export const plainString = (text: string, marked: "controls" | "all" = "controls"): string =>
  plainPieces(text, marked)
    .map((piece) => piece.text)
    .join("");

function escapeOf(code: number): string {
  if (code === 0x0a) return "\\n";
  if (code === 0x09) return "\\t";
  if (code === 0x0d) return "\\r";
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\u{${hex}}`;
}

function nameOf(code: number): string {
  const point = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  const name = names[code] ?? (code >= 0xe0000 && code <= 0xe007f ? "invisible tag" : "invisible or control character");
  return `${point} ${name}`;
}
