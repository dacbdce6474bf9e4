import { styleText } from "node:util";
import type { AppError } from "../../errors.ts";

/**
 * stdout carries data, stderr everything else. Colour never says anything alone: each state has a sign and a word.
 * `util.styleText` follows NO_COLOR, FORCE_COLOR and whether the stream is a terminal.
 */
type Style = Parameters<typeof styleText>[0];

export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream, validateStream: true });

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
export const note = (text: string): void => void process.stderr.write(`${text}\n`);

const signs: Record<string, [string, Style]> = {
  queued: ["·", "dim"],
  starting: ["○", "cyan"],
  running: ["●", "cyan"],
  "needs you": ["?", "yellow"],
  paused: ["‖", "dim"],
  done: ["✓", "green"],
  failed: ["✗", "red"],
  cancelled: ["–", "dim"],
  skipped: ["»", "dim"],
  open: ["?", "yellow"],
};

/** `✓ done`, `? needs you: approval`: sign, word and reason. */
export function stateText(state: string, reason: string | null, stream: NodeJS.WriteStream = process.stdout): string {
  const [sign, style] = signs[state] ?? ["·", "dim"];
  return styled(style, `${sign} ${state}${reason ? `: ${reason}` : ""}`, stream);
}

/**
 * What an agent wrote may not steer the terminal: escape sequences, other control characters and marks that turn the reading
 * direction are taken out; new lines and tabs stay.
 */
export function plain(text: string): string {
  return text
    .replaceAll(/\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_]?)/g, "")
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, "");
}

export const oneLine = (text: string): string => plain(text).replaceAll(/\s+/g, " ").trim();

export interface Column<Row> {
  title: string;
  value(row: Row): string;
}

/** Columns without borders; cut to the terminal's width, never when piped. */
export function table<Row>(rows: Row[], columns: Column<Row>[]): string {
  const cells = [columns.map((column) => styled("dim", column.title)), ...rows.map((row) => columns.map((column) => column.value(row)))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => width(line[index] ?? ""))));
  const limit = process.stdout.isTTY ? process.stdout.columns : Infinity;
  return cells
    .map((line) => {
      const text = line
        .map((cell, index) => cell + " ".repeat((widths[index] ?? 0) - width(cell)))
        .join("  ")
        .trimEnd();
      return width(text) > limit ? cut(text, limit) : text;
    })
    .join("\n");
}

// eslint-disable-next-line no-control-regex -- the escape sequences are our own colours
const width = (text: string): number => [...text.replaceAll(/\u001b\[[0-9;]*m/g, "")].length;

/** Cuts visible characters and keeps colour sequences whole. */
function cut(text: string, limit: number): string {
  let seen = 0;
  let result = "";
  for (const part of text.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith("\u001b[")) {
      result += part;
      continue;
    }
    const letters = [...part];
    result += letters.slice(0, Math.max(0, limit - 1 - seen)).join("");
    if (seen + letters.length > limit - 1 && seen <= limit - 1) result += "…";
    seen += letters.length;
  }
  return result;
}

/** What happened, why, what to do. One error, on stderr; with --json as one object. */
export function printError(error: AppError, original: unknown = null, json = false): void {
  if (json) {
    process.stderr.write(`${JSON.stringify({ error })}\n`);
    return;
  }
  const { stderr } = process;
  const lines = [`${styled(["red", "bold"], `error[${error.code}]`, stderr)}: ${plain(error.message)}`];
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
