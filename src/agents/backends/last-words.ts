import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { stripVTControlCharacters } from "node:util";

/** So much of stderr is kept: the newest. In characters. */
const most = 8192;
const drainMs = 500;

/** Both are asked after the program's end: what it said last may still be on its way. */
export interface LastWords {
  /** The last line that says something; "" when none does. */
  line(): Promise<string>;
  /** All that is kept, without colours. */
  all(): Promise<string>;
}

/** Reads a program's stderr to its end, so that it never blocks, and keeps the last of it, without the session's secrets. */
export function keepLastWords(stderr: Readable, secrets: readonly string[]): LastWords {
  let text = "";
  stderr.setEncoding("utf8");
  stderr.on("data", (chunk: string) => (text = (text + chunk).slice(-most)));
  const ended = finished(stderr).catch(() => undefined);
  const all = async (): Promise<string> => {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, drainMs);
    await Promise.race([ended, late]);
    clearTimeout(timer);
    return withoutSecrets(stripVTControlCharacters(text), secrets);
  };
  return { all, line: async () => lastLine(await all()) };
}

/** The last line that says something; "" when none does. */
function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim());
  return lines.findLast((line) => /\w/.test(line))?.slice(0, 500) ?? "";
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.filter((secret) => secret !== "").reduce((clean, secret) => clean.replaceAll(secret, "[token]"), text);
}
