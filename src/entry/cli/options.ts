import type { Command } from "commander";
import { invalidInput } from "../../errors.ts";
import type { ListView } from "./output.ts";

/** What the verbs have in common in reading their words. */
export const wantsJson = (command: Command): boolean => command.optsWithGlobals<{ json?: boolean }>().json === true;

/** What every list can be asked for. */
export const withListOptions = (command: Command): Command =>
  command
    .option("--wide", "every column, and lines as long as they are")
    .option("--columns <titles>", "these columns in this order, with commas")
    .option("--no-headers", "without the line of titles");

export function listViewOf(command: Command): ListView {
  const { wide, columns, headers } = command.opts<{ wide?: boolean; columns?: string; headers?: boolean }>();
  return { wide, headers, columns: columns?.split(",").map((title) => title.trim()) };
}

/** For options that may be given several times. */
export const collect = (value: string, all: string[]): string[] => [...all, value];

/** Ids are written in capitals, and understood without: "t-12" is T-12. Everything else (names, projects) stays as it is. */
export const idOf = (text: string): string => (/^[trsa]-\d+$/i.test(text) ? text.toUpperCase() : text);

/** Throws AppError invalid_input for a text that is no number, or less than `least`. */
export function number(name: string, text: string, least = 0): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value >= least) return value;
  throw invalidInput(`${name} must be a number${least > 0 ? ` from ${least}` : ""}`, `it is "${text}"`);
}

/** As number, without a fraction. */
export function wholeNumber(name: string, text: string, least = 0): number {
  const value = number(name, text, least);
  if (Number.isInteger(value)) return value;
  throw invalidInput(`${name} must be a whole number`, `it is "${text}"`);
}

/** `name=value` each. Throws AppError invalid_input. */
export function pairs(name: string, texts: string[]): [string, string][] {
  return texts.map((text) => {
    const at = text.indexOf("=");
    if (at < 1) throw invalidInput(`${name} must be name=value`, `it is "${text}"`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}
