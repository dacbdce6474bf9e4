/**
 * The output of a program as lines of styled spans. Only colours and weights (SGR, ECMA-48 8.3.117) are understood; a carriage
 * return shows the last state of its line; every other sequence (cursor, titles, links, clipboard) is taken out, so nothing that an
 * agent prints can move, hide or name anything on the screen.
 */
export const hues = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
export type Hue = (typeof hues)[number];

export interface AnsiStyle {
  fg?: Hue;
  bg?: Hue;
  bold?: true;
  dim?: true;
  italic?: true;
  underline?: true;
  strike?: true;
}

export interface AnsiSpan extends AnsiStyle {
  text: string;
}

/* Introducers in both forms (two bytes, or one C1 byte). A string sequence that does not end within its line and 2,048 characters is
   not one (lines are cut first): only its introducer goes, so an open sequence cannot swallow the rest of a log. */
const sequence =
  // oxlint-disable-next-line no-control-regex -- these are the characters in question
  /(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])(?:[^\x07\x1b\x9c]{0,2048}(?:\x07|\x1b\\|\x9c))?|\x1b[ -/]*[0-~]?|\x9b/g;

/** Parses the whole text; a style goes on over line ends, as in a terminal. An ending line feed makes no empty last line. */
export function ansiLines(text: string): AnsiSpan[][] {
  let style: AnsiStyle = {};
  const source = text.endsWith("\n") ? text.slice(0, -1) : text;
  if (source === "") return [];
  return source.split("\n").map((raw) => {
    let spans: AnsiSpan[] = [];
    let dropped: AnsiSpan[] = [];
    const add = (part: string) => {
      for (const [index, piece] of part.split("\r").entries()) {
        if (index > 0) {
          // Programs write "50 %\r" and then the next state, or end the line: an empty state does not wipe the one before.
          if (spans.length > 0) dropped = spans;
          spans = [];
        }
        if (piece === "") continue;
        const last = spans.at(-1);
        if (last !== undefined && sameStyle(last, style)) last.text += piece;
        else spans.push({ text: piece, ...style });
      }
    };
    let at = 0;
    for (const match of raw.matchAll(sequence)) {
      add(raw.slice(at, match.index));
      at = match.index + match[0].length;
      if (match[2] === "m") style = sgr(style, match[1] ?? "");
    }
    add(raw.slice(at));
    return spans.length > 0 ? spans : dropped;
  });
}

/** A style after one SGR sequence. Unknown codes change nothing; "concealed" (8) and "inverse" (7) are among them on purpose. */
function sgr(style: AnsiStyle, parameters: string): AnsiStyle {
  let next: AnsiStyle = { ...style };
  const codes = parameters.split(/[;:]/).map((code) => (code === "" ? 0 : Number(code)));
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] ?? 0;
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 9) next.strike = true;
    else if (code === 22) next = without(next, "bold", "dim");
    else if (code === 23) next = without(next, "italic");
    else if (code === 24) next = without(next, "underline");
    else if (code === 29) next = without(next, "strike");
    else if (code === 39) next = without(next, "fg");
    else if (code === 49) next = without(next, "bg");
    else if (code === 38 || code === 48) {
      const [hue, used] = extended(codes.slice(i + 1));
      if (hue !== undefined) next[code === 38 ? "fg" : "bg"] = hue;
      i += used;
    } else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) next.fg = hues[code % 10];
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) next.bg = hues[code % 10];
  }
  return next;
}

/** 38/48's own parameters: `5;n` of 256 colours, `2;r;g;b` of all; each falls to the nearest of the eight that the themes hold. */
function extended(codes: readonly number[]): [Hue | undefined, number] {
  const [kind, a = 0, b = 0, c = 0] = codes;
  if (kind === 2) return [nearest(a, b, c), 4];
  if (kind !== 5) return [undefined, 0];
  if (a < 16) return [hues[a % 8], 2];
  if (a >= 232) return [a >= 244 ? "white" : "black", 2];
  const cube = a - 16;
  const level = (step: number) => (step % 6) * 51;
  return [nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6)), level(cube)), 2];
}

function nearest(red: number, green: number, blue: number): Hue {
  const top = Math.max(red, green, blue);
  const low = Math.min(red, green, blue);
  if (top - low < 32) return top > 127 ? "white" : "black";
  const bit = (value: number) => (value - low > (top - low) / 2 ? 1 : 0);
  return hues[bit(red) + 2 * bit(green) + 4 * bit(blue)] ?? "white";
}

function without(style: AnsiStyle, ...keys: (keyof AnsiStyle)[]): AnsiStyle {
  const next = { ...style };
  for (const key of keys) delete next[key];
  return next;
}

const sameStyle = (a: AnsiStyle, b: AnsiStyle): boolean =>
  a.fg === b.fg &&
  a.bg === b.bg &&
  a.bold === b.bold &&
  a.dim === b.dim &&
  a.italic === b.italic &&
  a.underline === b.underline &&
  a.strike === b.strike;
