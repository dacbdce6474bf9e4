/**
 * The unified diff that git writes, as values. Lines are counted by the numbers in their hunk's head, so a changed line that looks
 * like a head ("--- a/x") stays a line. Whatever is not understood is kept in `unread`; nothing is dropped.
 * Format: https://git-scm.com/docs/diff-format, quoting of names: core.quotePath and quote.c of git.
 */
export interface DiffLine {
  kind: "same" | "add" | "del";
  text: string;
  /** Line numbers, from 1; undefined on the side that does not have the line. */
  old?: number;
  new?: number;
  /** The file ends here without a line feed. */
  noNewline?: true;
}

export interface DiffHunk {
  oldStart: number;
  newStart: number;
  /** What git found above the hunk, for example the function's head. */
  section: string;
  lines: DiffLine[];
}

export interface DiffFile {
  /** The name to show: the new one, except for a file that was deleted. */
  path: string;
  /** The former name of a renamed or copied file. */
  from?: string;
  change: "changed" | "added" | "deleted" | "renamed" | "copied";
  /** File modes that changed, as git writes them ("100644"). */
  mode?: { old: string; new: string };
  binary: boolean;
  /** How much of a renamed or copied file stayed, in percent. */
  similarity?: number;
  added: number;
  deleted: number;
  hunks: DiffHunk[];
  /** Lines of this file's part that this parser does not know. */
  unread: string[];
}

/** Parses the output of `git diff` (also of `format-patch` and `show`: what stands before the first file is `preamble`). */
export function parseDiff(text: string): { files: DiffFile[]; preamble: string[] } {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const files: DiffFile[] = [];
  const preamble: string[] = [];
  let file: DiffFile | undefined;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    if (line.startsWith("diff --git ")) {
      file = { path: pathOfHead(line.slice(11)), change: "changed", binary: false, added: 0, deleted: 0, hunks: [], unread: [] };
      files.push(file);
    } else if (file === undefined) preamble.push(line);
    else if (line.startsWith("@@ ")) at = readHunk(file, lines, at);
    else if (line === "GIT binary patch") {
      file.binary = true;
      while (at + 1 < lines.length && !(lines[at + 1] ?? "").startsWith("diff --git ")) at += 1;
    } else if (!readHead(file, line)) file.unread.push(line);
  }
  return { files, preamble };
}

/** One hunk with as many lines as its head says; gives back the index of its last line. */
function readHunk(file: DiffFile, lines: readonly string[], headAt: number): number {
  const head = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/s.exec(lines[headAt] ?? "");
  if (head === null) {
    file.unread.push(lines[headAt] ?? "");
    return headAt;
  }
  let old = Number(head[1]);
  let next = Number(head[3]);
  let oldLeft = Number(head[2] ?? 1);
  let newLeft = Number(head[4] ?? 1);
  const hunk: DiffHunk = { oldStart: old, newStart: next, section: head[5] ?? "", lines: [] };
  file.hunks.push(hunk);
  let at = headAt + 1;
  for (; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const sign = line[0];
    const last = hunk.lines.at(-1);
    if (sign === "\\" && last !== undefined) last.noNewline = true;
    else if (sign === "+" && newLeft > 0) {
      hunk.lines.push({ kind: "add", text: line.slice(1), new: next++ });
      newLeft -= 1;
      file.added += 1;
    } else if (sign === "-" && oldLeft > 0) {
      hunk.lines.push({ kind: "del", text: line.slice(1), old: old++ });
      oldLeft -= 1;
      file.deleted += 1;
    } else if ((sign === " " || sign === undefined) && oldLeft > 0 && newLeft > 0) {
      hunk.lines.push({ kind: "same", text: line.slice(1), old: old++, new: next++ });
      oldLeft -= 1;
      newLeft -= 1;
    } else break;
  }
  return at - 1;
}

/** The lines between "diff --git" and the first hunk. */
function readHead(file: DiffFile, line: string): boolean {
  const [, key, value = ""] =
    /^(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to|similarity index|dissimilarity index|index|---|\+\+\+|Binary files) (.*)$/s.exec(
      line,
    ) ?? [];
  if (key === undefined) return false;
  if (key === "old mode") file.mode = { old: value, new: file.mode?.new ?? value };
  else if (key === "new mode") file.mode = { old: file.mode?.old ?? value, new: value };
  else if (key === "new file mode") {
    file.change = "added";
    // An executable or a link is worth a word; the common mode is not.
    if (value !== "100644") file.mode = { old: "", new: value };
  } else if (key === "deleted file mode") file.change = "deleted";
  else if (key === "rename from" || key === "copy from") {
    file.change = key === "rename from" ? "renamed" : "copied";
    file.from = unquote(value);
  } else if (key === "rename to" || key === "copy to") file.path = unquote(value);
  else if (key === "similarity index") file.similarity = Number.parseInt(value, 10);
  else if (key === "Binary files") file.binary = true;
  else if (key === "+++" || (key === "---" && file.change === "deleted")) {
    const name = unquote(value.replace(/\t$/, ""));
    if (name !== "/dev/null") file.path = name.replace(/^[a-z]\//, "");
  }
  return true;
}

/**
 * The name in "a/name b/name". Both are the same wherever no other line names the file (renames and copies have their own lines),
 * so the middle divides them, also where the name has spaces or " b/" in it.
 */
function pathOfHead(pair: string): string {
  if (pair.startsWith('"')) {
    const end = /^"(?:[^"\\]|\\.)*"/s.exec(pair)?.[0] ?? pair;
    return unquote(end).replace(/^[a-z]\//, "");
  }
  const middle = (pair.length - 1) / 2;
  const [first, second] = [pair.slice(0, middle).replace(/^[a-z]\//, ""), pair.slice(middle + 1).replace(/^[a-z]\//, "")];
  return first === second && pair[middle] === " " ? second : pair;
}

const simple: Readonly<Record<string, number>> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, '"': 34, "\\": 92 };

/**
 * A name as git quotes it: "a/\303\244" holds bytes in octal, read as UTF-8. A name that is not valid UTF-8 keeps its octal
 * codes, so that two different files never look the same.
 */
export function unquote(name: string): string {
  const inner = /^"(.*)"$/s.exec(name)?.[1];
  if (inner === undefined) return name;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const [token, octal, escaped] of inner.matchAll(/\\([0-3][0-7]{2})|\\(.)|[^\\]+|\\/gs)) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else if (escaped !== undefined && simple[escaped] !== undefined) bytes.push(simple[escaped]);
    else bytes.push(...encoder.encode(token));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes));
  } catch {
    return inner; // not UTF-8: the quoted form is the only exact one
  }
}

/**
 * Where two lines that replace each other differ: the length of what they share at the start and at the end. Undefined when they
 * share too little for a mark to help.
 */
export function changedPart(before: string, after: string): { start: number; beforeEnd: number; afterEnd: number } | undefined {
  const longest = Math.max(before.length, after.length);
  if (longest > 2_000 || before === after) return undefined;
  const shortest = Math.min(before.length, after.length);
  let start = 0;
  while (start < shortest && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shortest - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  // Whole words, and never half a character: a low surrogate belongs to the one before it.
  while (start > 0 && (cuts(before, start) || cuts(after, start))) start -= 1;
  while (end > 0 && (cuts(before, before.length - end) || cuts(after, after.length - end))) end -= 1;
  const shared = before.slice(0, start).trim().length + before.slice(before.length - end).trim().length;
  if (shared < 3 || shared * 4 < longest) return undefined;
  return { start, beforeEnd: before.length - end, afterEnd: after.length - end };
}

const word = /[\p{L}\p{N}_]/u;

/** Whether a cut at this place would divide a word or a character. */
function cuts(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return false;
  return /[\udc00-\udfff]/.test(text[at] ?? "") || (word.test(text[at - 1] ?? "") && word.test(text[at] ?? ""));
}

/** For each deleted line of a change block the added line in its place (the n-th for the n-th); index to index, both ways. */
export function pairedLines(lines: readonly DiffLine[]): Map<number, number> {
  const pairs = new Map<number, number>();
  for (let at = 0; at < lines.length; at += 1) {
    if (lines[at]?.kind !== "del") continue;
    let dels = 0;
    while (lines[at + dels]?.kind === "del") dels += 1;
    let adds = 0;
    while (lines[at + dels + adds]?.kind === "add") adds += 1;
    for (let n = 0; n < Math.min(dels, adds); n += 1) {
      pairs.set(at + n, at + dels + n);
      pairs.set(at + dels + n, at + n);
    }
    at += dels + adds - 1;
  }
  return pairs;
}

/** Files that tools write and people do not read: folded at first, never hidden. */
export const isGenerated = (path: string): boolean =>
  /(^|\/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|Cargo\.lock|go\.sum|poetry\.lock|uv\.lock|composer\.lock|Gemfile\.lock)$|\.min\.(js|css)$|\.(map|snap)$/.test(
    path,
  );
