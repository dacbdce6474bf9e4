import { invalidInput } from "../errors.ts";
import type { Identity } from "./workspace.ts";

/** Checks and shapes of everything that becomes a part of a path, of a ref or of a commit. */

/** Ids become folder names and parts of refs: no separators, no "..", nothing that git or a file system reads in its own way. */
export function checkId(what: "project" | "session", id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(id)) return id;
  throw invalidInput(`"${id}" is not the id of a ${what}`, "an id has letters, digits, - and _ only");
}

/** A full object id. Names of commits never come from callers, so that nothing can be read as an option or an expression. */
export function checkCommit(commit: string): string {
  if (/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(commit)) return commit;
  throw invalidInput(`"${commit}" is not a commit id`, "40 or 64 hexadecimal digits are expected");
}

/** The rules of `git check-ref-format`, plus: no leading dash, not HEAD. Throws AppError invalid_input. */
export function checkBranch(branch: string): string {
  const parts = branch.split("/");
  const fine =
    branch !== "" &&
    branch !== "@" &&
    branch !== "HEAD" &&
    Buffer.byteLength(branch) <= 200 &&
    !/[\p{Cc} ~^:?*[\\]|\.\.|@\{/u.test(branch) &&
    !branch.endsWith(".") &&
    !branch.startsWith("-") &&
    parts.every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
  if (fine) return branch;
  throw invalidInput(`"${branch}" cannot be the name of a branch`, "git's rules for names of branches do not allow it", [
    "use letters, digits, - and /",
  ]);
}

export function checkTurn(turn: number): number {
  if (Number.isSafeInteger(turn) && turn >= 0) return turn;
  throw invalidInput(`${turn} is not the number of a turn`);
}

/** `<run>/<step>` as it is written into a trailer: one word. */
export function checkStep(step: string): string {
  if (/^[\u0021-\u007e\u00a1-\uffff]{1,300}$/.test(step)) return step;
  throw invalidInput(`"${oneLine(step)}" is not the name of a step`, "it must be one word of at most 300 characters");
}

/** Text of others as one line: a title with line breaks could otherwise write trailers of its own. */
export const oneLine = (text: string, max = 200): string =>
  text
    .replace(/[\p{Cc}\p{Zl}\p{Zp} ]+/gu, " ")
    .trim()
    .slice(0, max);

/** git refuses an empty name and drops angle brackets by itself; line breaks would forge header lines. */
export function cleanIdentity(identity: Identity): Identity {
  const clean = (text: string) => oneLine(text.replace(/[<>]/g, ""));
  return { name: clean(identity.name) || "Tutti user", email: clean(identity.email) || "tutti@localhost" };
}

/** One word of a POSIX shell command that a person copies (or that git hands to sh). */
export const shellWord = (text: string): string => (/^[A-Za-z0-9_./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A file that has this exact path, as a line of an exclude file. Names with line breaks cannot be written there. */
export const excludeLine = (path: string): string => `/${path.replace(/[\\*?[\] ]/g, "\\$&")}`;

/** The same path without a way out: relative, no empty, "." or ".." parts. Null when it is not such a path. */
export function plainPath(path: string): string | null {
  if (path === "" || path.includes("\0")) return null;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..") ? path : null;
}

/** Values that git writes for machines: entries that end in NUL. "latin1" keeps the bytes of names that are no UTF-8. */
export const splitNul = (output: Buffer, encoding: "utf8" | "latin1" = "utf8"): string[] => {
  const text = output.toString(encoding);
  return text === "" ? [] : (text.endsWith("\0") ? text.slice(0, -1) : text).split("\0");
};
