import { styleText } from "node:util";
import { readTerminal } from "../../config.ts";
import { invalidInput, type AppError } from "../../errors.ts";

/** stdout carries data, stderr everything else. Colour never says anything alone: each state has a sign and a word. */
type Style = Parameters<typeof styleText>[0];
type Stream = Pick<NodeJS.WriteStream, "isTTY">;

let colours: boolean | null = readTerminal().colour;

/** What --color says goes before the environment; "auto" leaves it to that, and then to the stream. */
export function setColours(choice: "auto" | "always" | "never"): void {
  colours = choice === "auto" ? readTerminal().colour : choice === "always";
}

/** Each stream is asked for itself: `tutti ls | less` has colours on stderr alone. */
export const styled = (style: Style, text: string, stream: Stream = process.stdout): string =>
  (colours ?? stream.isTTY) ? styleText(style, text, { validateStream: false }) : text;

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
export const note = (text: string): void => void process.stderr.write(`${text}\n`);

const signs: Record<string, [string, Style]> = {
  queued: ["·", "dim"],
  idle: ["·", "dim"],
  starting: ["○", "cyan"],
  running: ["●", "cyan"],
  "needs you": ["?", "yellow"],
  paused: ["‖", "dim"],
  done: ["✓", "green"],
  failed: ["✗", "red"],
  cancelled: ["–", "dim"],
  skipped: ["»", "dim"],
  open: ["?", "yellow"],
  answered: ["✓", "green"],
  expired: ["–", "dim"],
};

/** `✓ done`, `? needs you: approval`: sign, word and reason. */
export function stateText(state: string, reason: string | null, stream: Stream = process.stdout): string {
  const [sign, style] = signs[state] ?? ["·", "dim"];
  return styled(style, `${sign} ${state}${reason ? `: ${reason}` : ""}`, stream);
}

/** Everything that a terminal may obey, except tabs and new lines. */
const control = /[^\P{Cc}\t\n]/gu;
/** Marks that turn the reading direction, join or hide letters, or cannot be seen at all. */
const invisible = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

const escape = "\u001b";
/** Also with the one-byte forms of `ESC [` and of what begins and ends a command. */
const [csi, commandStarts, stringEnd, bell] = ["\u009b", "\u0090\u0098\u009d-\u009f", "\u009c", "\u0007"];
const sequence = new RegExp(`(?:${escape}\\[|${csi})[0-?]{0,64}[ -/]{0,8}[@-~]`, "g");
/** Titles, links, clipboard: they end with BEL or ST. One that does not end in its line is no command: it would swallow what follows. */
const command = new RegExp(
  `(?:${escape}[\\]PX^_]|[${commandStarts}])[^${bell}${escape}${stringEnd}\\n]{0,2048}(?:${bell}|${escape}\\\\|${stringEnd})`,
  "g",
);
const shortSequence = new RegExp(`${escape}[ -/]?[0-~]?`, "g");

/**
 * What an agent wrote may not steer the terminal: escape sequences, other control characters and invisible marks are taken out;
 * new lines and tabs stay.
 */
export function plain(text: string): string {
  return text
    .replaceAll(command, "")
    .replaceAll(sequence, "")
    .replaceAll(shortSequence, "")
    .replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, "\n")
    .replaceAll(control, "")
    .replaceAll(invisible, "");
}

/**
 * As plain, but nothing is left out: what a terminal would obey or hide stands there as its code point. For text that a person
 * judges (a diff): what cannot be seen there must not be merged unseen.
 */
export const visible = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .replaceAll(control, codePoint)
    .replaceAll(/[\u2028\u2029]/g, codePoint)
    .replaceAll(invisible, codePoint);

const codePoint = (letter: string): string => `<U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`;

export const oneLine = (text: string): string => plain(text).replaceAll(/\s+/g, " ").trim();

/** At most `limit` letters of one line; a cut is seen. */
export function brief(text: string, limit: number): string {
  const letters = Array.from(oneLine(text));
  return letters.length > limit ? `${letters.slice(0, limit - 1).join("")}…` : letters.join("");
}

/** As a shell reads it as one word. */
export const shellWord = (text: string): string => (/^[\w./:=@,+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** 1 task, 2 tasks. */
export const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;

export interface Column<Row> {
  title: string;
  value(row: Row): string;
  /** Shown only with --wide, or when it is asked for by its title. */
  wide?: boolean;
}

/** How a person wants to see a list. */
export interface ListView {
  /** Every column, and lines as long as they are. */
  wide?: boolean;
  /** Titles of the columns to show, in this order; capitals do not matter. */
  columns?: string[];
  headers?: boolean;
}

/** Columns without borders; cut to the terminal's width, never when piped. Throws AppError invalid_input for a column that is not there. */
export function table<Row>(
  rows: Row[],
  columns: Column<Row>[],
  view: ListView = {},
  stream: Pick<NodeJS.WriteStream, "isTTY" | "columns"> = process.stdout,
): string {
  const shown = chosenColumns(columns, view);
  const cells = [
    ...(view.headers === false ? [] : [shown.map((column) => styled("dim", column.title))]),
    ...rows.map((row) => shown.map((column) => cellText(column.value(row)))),
  ];
  const widths = shown.map((_, index) => Math.max(...cells.map((line) => width(line[index] ?? ""))));
  // A terminal that does not know its size says 0.
  const limit = stream.isTTY && stream.columns > 0 && !view.wide ? stream.columns : Infinity;
  return cells
    .map((line) => {
      const text = line
        .map((cell, index) => (index === line.length - 1 ? cell : cell + " ".repeat((widths[index] ?? 0) - width(cell))))
        .join("  ")
        .trimEnd();
      return width(text) > limit ? cut(text, limit) : text;
    })
    .join("\n");
}

function chosenColumns<Row>(columns: Column<Row>[], { wide = false, columns: wanted }: ListView): Column<Row>[] {
  if (!wanted) return columns.filter((column) => wide || !column.wide);
  return wanted.map((title) => {
    const found = columns.find((column) => column.title.toLowerCase() === title.toLowerCase());
    if (found) return found;
    throw invalidInput(
      `there is no column "${oneLine(title)}"`,
      `there are: ${columns.map((column) => column.title.toLowerCase()).join(", ")}`,
    );
  });
}

/** Colours (which `styled` makes) and the text between them on one line. Whatever forgot to clean its text is caught here. */
const cellText = (text: string): string =>
  text
    .split(colour)
    .map((part, index) => (isColour(index) ? part : plain(part).replaceAll(/\s/g, " ")))
    .join("");

/** What `styled` writes; as a group, so that splitting by it keeps it, at every second place. */
const colour = new RegExp(`(${escape}\\[[0-9;]*m)`);
const isColour = (index: number): boolean => index % 2 === 1;

const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

const letterWidth = (letter: string): number => (/\p{Mark}/u.test(letter) ? 0 : wide.test(letter) ? 2 : 1);

const width = (text: string): number =>
  Array.from(
    text
      .split(colour)
      .filter((part) => !part.startsWith(escape))
      .join(""),
  ).reduce((sum, letter) => sum + letterWidth(letter), 0);

/** Cuts visible characters to `limit` cells with "…" in the last one, and keeps colour sequences whole. */
export function cut(text: string, limit: number): string {
  let seen = 0;
  let full = false;
  let result = "";
  for (const [index, part] of text.split(colour).entries()) {
    if (isColour(index)) {
      result += part;
      continue;
    }
    for (const letter of part) {
      if (full) break;
      full = seen + letterWidth(letter) > limit - 1;
      result += full ? "…" : letter;
      seen += letterWidth(letter);
    }
  }
  return result;
}

/** A field as a person reads it: times as dates, structures as JSON. Clean already. */
export function shownValue(name: string, value: unknown): string {
  if (typeof value === "number" && /^at$|At$/.test(name)) return new Date(value).toISOString();
  return plain(typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
}

let fields: string[] | null = null;

/** What --json=a,b asks for: only these fields of each object. */
export function setFields(names: string[] | null): void {
  fields = names;
}

/** One object on one line of stdout, with the fields that were asked for. Throws AppError invalid_input for one that it does not have. */
export const printJson = (value: unknown): void => print(jsonText(fields ? pickFields(value, fields) : value));

/** JSON in which what a terminal would obey, and what is not seen, stands as an escape: whoever parses it gets every letter. */
export const jsonText = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufff9-\ufffb]|\p{Default_Ignorable_Code_Point}/gu,
    // Letters beyond the first plane are two escapes.
    (letter) =>
      letter
        .split("")
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
        .join(""),
  );

/** Of a list the fields of each of its items. `a.b` is a field of a field. */
export function pickFields(value: unknown, names: string[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("items" in value && Array.isArray(value.items)) {
    const items: unknown[] = value.items;
    return { ...value, items: items.map((item) => pickFields(item, names)) };
  }
  return Object.fromEntries(names.map((name) => [name, fieldOf(value, name)]));
}

function fieldOf(record: object, name: string): unknown {
  let at: unknown = record;
  for (const part of name.split(".")) {
    if (at === null) return null;
    if (typeof at !== "object" || !Object.hasOwn(at, part)) {
      throw invalidInput(`there is no field "${oneLine(name)}"`, `there are: ${Object.keys(record).join(", ")}`);
    }
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/** One `name  value` line for each field. */
export function printRecord(record: object, json: boolean): void {
  if (json) return printJson(record);
  const longest = Math.max(...Object.keys(record).map((name) => name.length));
  for (const [name, value] of Object.entries(record)) {
    print(`${styled("dim", name.padEnd(longest))}  ${value === null ? styled("dim", "-") : shownValue(name, value)}`);
  }
}

/** What happened, why, what to do. One error, on stderr; with --json as one object. */
export function printError(error: AppError, original: unknown = null, json = false): void {
  if (json) {
    process.stderr.write(`${jsonText({ error })}\n`);
    return;
  }
  const { stderr } = process;
  const lines = [`${styled(["red", "bold"], `error[${error.code}]`, stderr)}: ${oneLine(error.message)}`];
  if (error.why)
    lines.push(
      ...plain(error.why)
        .split("\n")
        .map((line, index) => `  ${index === 0 ? styled("dim", "why", stderr) : "   "}  ${line}`),
    );
  error.fix.forEach((fix, index) => lines.push(`  ${index === 0 ? styled("dim", "try", stderr) : "   "}  ${plain(fix)}`));
  if (error.code === "internal" && original instanceof Error) lines.push(styled("dim", original.stack ?? "", stderr));
  stderr.write(`${lines.join("\n")}\n`);
}

export function age(at: number, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
