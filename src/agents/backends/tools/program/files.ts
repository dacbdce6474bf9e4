import { mkdir, readFile, readdir, realpath, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { ToolFailure, cutMiddle, maxOutputBytes, optionalNumber, optionalText, textOf } from "./bounds.ts";

type Input = Record<string, unknown>;

const maxFileBytes = 10 * 1024 * 1024;
const defaultLines = 2000;
const maxEntries = 2000;
/** Never listed or searched: not the project's own text, and larger than everything else together. */
const skippedFolders = new Set([".git", "node_modules"]);

/** A file's text, whole or some of its lines. */
export async function read(input: Input): Promise<string> {
  const path = textOf(input, "path");
  const lines = (await readText(path)).split("\n");
  const from = Math.max(1, Math.floor(optionalNumber(input, "offset", 1)));
  const wanted = lines.slice(from - 1, from - 1 + Math.max(1, Math.floor(optionalNumber(input, "limit", defaultLines))));
  if (wanted.length === 0) throw new ToolFailure(`${path} has ${lines.length} lines only`);
  const kept = wholeLines(wanted);
  const last = from - 1 + kept.length;
  const text = cutMiddle(Buffer.from(kept.join("\n")));
  return last < lines.length ? `${text}\n[lines ${from} to ${last} of ${lines.length}; read on with offset ${last + 1}]` : text;
}

/** As many whole lines as fit into one output, and at least one. */
function wholeLines(lines: string[]): string[] {
  let bytes = 0;
  const end = lines.findIndex((line) => (bytes += Buffer.byteLength(line) + 1) > maxOutputBytes);
  return end < 0 ? lines : lines.slice(0, Math.max(1, end));
}

/** Creates or replaces a file, with the folders that it needs. */
export async function write(input: Input): Promise<string> {
  const path = textOf(input, "path");
  const content = textOf(input, "content");
  const target = await writable(path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content);
  return `wrote ${Buffer.byteLength(content)} bytes to ${path}`;
}

/** Replaces a text that occurs exactly once. */
export async function edit(input: Input): Promise<string> {
  const path = textOf(input, "path");
  const oldText = textOf(input, "oldText");
  const newText = textOf(input, "newText");
  if (oldText === "") throw new ToolFailure(`"oldText" is empty; use write to create or replace a whole file`);
  if (oldText === newText) throw new ToolFailure(`"oldText" and "newText" are the same; nothing was changed`);
  const target = await writable(path);
  const text = await readText(path);
  const places = occurrences(text, oldText);
  if (places.length === 0) throw new ToolFailure(notFoundIn(path, text, oldText));
  if (places.length > 1) {
    const at = places.slice(0, 10).map((place) => lineOf(text, place));
    throw new ToolFailure(
      `"oldText" occurs ${places.length} times in ${path} (lines ${at.join(", ")}); add lines around it so that it is unique`,
    );
  }
  const [place = 0] = places;
  await writeFile(target, text.slice(0, place) + newText + text.slice(place + oldText.length));
  return `replaced 1 place in ${path}, line ${lineOf(text, place)}`;
}

function occurrences(text: string, wanted: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) places.push(at);
  return places;
}

const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length;

/** The usual reason is white space: the model is told where the text stands when that is all that differs. */
function notFoundIn(path: string, text: string, wanted: string): string {
  const bare = (line: string): string => line.trim().replaceAll(/\s+/g, " ");
  const first = wanted
    .split("\n")
    .map(bare)
    .find((line) => line !== "");
  const near = text.split("\n").findIndex((line) => first !== undefined && bare(line) === first);
  const hint = near < 0 ? "read the file again, it may have changed" : `line ${near + 1} is like it but for white space or what follows`;
  return `"oldText" does not occur in ${path}; ${hint}`;
}

/** Paths below a folder, folders with a slash at their end. */
export async function list(input: Input): Promise<string> {
  const root = optionalText(input, "path", ".");
  const depth = optionalNumber(input, "depth", 8);
  const found: string[] = [];
  await walk(root, depth, async (path, isFolder) => {
    found.push(relative(root, path) + (isFolder ? "/" : ""));
    return found.length < maxEntries;
  });
  const more = found.length < maxEntries ? "" : `\n[more than ${maxEntries} entries; list a folder below, or search]`;
  return found.length === 0 ? "(empty)" : cutMiddle(Buffer.from(found.join("\n") + more));
}

const maxMatches = 200;

/** Lines that contain a text or match a regular expression, as `path:line: text`. The time limit is the caller's: it ends this process. */
export async function search(input: Input): Promise<string> {
  const root = optionalText(input, "path", ".");
  const matches = matcher(textOf(input, "pattern"), input.regex === true);
  const found: string[] = [];
  await walk(root, 32, async (path, isFolder) => {
    if (!isFolder) await searchFile(path, relative(root, path) === "" ? root : join(root, relative(root, path)), matches, found);
    return found.length < maxMatches;
  });
  if (found.length === 0) return "no line matches";
  return cutMiddle(Buffer.from(found.join("\n") + (found.length < maxMatches ? "" : `\n[stopped after ${maxMatches} matches]`)));
}

function matcher(pattern: string, isRegex: boolean): (line: string) => boolean {
  if (pattern === "") throw new ToolFailure(`"pattern" is empty`);
  if (!isRegex) return (line) => line.includes(pattern);
  try {
    const expression = new RegExp(pattern);
    return (line) => expression.test(line);
  } catch (error) {
    throw new ToolFailure(`"pattern" is no regular expression: ${(error as Error).message}`);
  }
}

async function searchFile(path: string, shown: string, matches: (line: string) => boolean, found: string[]): Promise<void> {
  const about = await stat(path).catch(() => null);
  if (!about?.isFile() || about.size > maxFileBytes) return;
  const bytes = await readFile(path).catch(() => null);
  if (!bytes || isBinary(bytes)) return;
  const lines = bytes.toString("utf8").split("\n");
  for (const [index, line] of lines.entries()) {
    if (found.length >= maxMatches) return;
    if (matches(line)) found.push(`${shown}:${index + 1}: ${line.slice(0, 300)}`);
  }
}

/** Depth first, sorted, without following links; `visit` answers whether to go on. */
async function walk(path: string, depth: number, visit: (path: string, isFolder: boolean) => Promise<boolean>): Promise<boolean> {
  if ((await stat(path)).isFile()) return visit(path, false);
  const entries = await readdir(path, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const below = join(path, entry.name);
    if (entry.isDirectory() && skippedFolders.has(entry.name)) continue;
    if (!(await visit(below, entry.isDirectory()))) return false;
    if (entry.isDirectory() && depth > 1 && !(await walkBelow(below, depth - 1, visit))) return false;
  }
  return true;
}

/** A folder below that cannot be read is left out, as if it were not there. */
const walkBelow = async (path: string, depth: number, visit: (path: string, isFolder: boolean) => Promise<boolean>): Promise<boolean> =>
  (await readdir(path).catch(() => null)) === null ? true : walk(path, depth, visit);

async function readText(path: string): Promise<string> {
  // Only plain files: opening a pipe or a device could wait for ever.
  const about = await stat(path);
  if (about.isDirectory()) throw new ToolFailure(`${path} is a folder; use list`);
  if (!about.isFile()) throw new ToolFailure(`${path} is not a plain file`);
  if (about.size > maxFileBytes)
    throw new ToolFailure(`${path} has ${about.size} bytes; read a part of it with the shell, e.g. sed -n 1,200p`);
  const bytes = await readFile(path);
  if (isBinary(bytes)) throw new ToolFailure(`${path} is a binary file`);
  return bytes.toString("utf8");
}

const isBinary = (bytes: Buffer): boolean => bytes.subarray(0, 8192).includes(0);

/**
 * Where a write really goes. The sandbox is what keeps writes inside; this only turns its refusal into a clear message, and
 * keeps a mistaken path from doing harm where a project runs without a sandbox.
 */
async function writable(path: string): Promise<string> {
  const target = await realTarget(resolve(path));
  const roots = await Promise.all([process.cwd(), process.env.HOME ?? process.cwd()].map((root) => realpath(root).catch(() => root)));
  if (!roots.some((root) => target.startsWith(root + sep))) throw new ToolFailure(`${path} is outside of the working folder`);
  const about = await stat(target).catch(() => null);
  if (about && !about.isFile()) throw new ToolFailure(`${path} is not a plain file`);
  return target;
}

/** The path with every link resolved, also when its last parts do not exist yet. A dangling link is refused: it could point anywhere. */
async function realTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) throw error;
    const parent = await realTarget(dirname(path));
    const target = join(parent, path.slice(dirname(path).length).replaceAll(sep, ""));
    if (await isLink(target)) throw new ToolFailure(`${path} is a link to nothing`);
    return target;
  }
}

const isLink = async (path: string): Promise<boolean> => {
  const entries = await readdir(dirname(path), { withFileTypes: true }).catch(() => []);
  return entries.some((entry) => join(dirname(path), entry.name) === path && entry.isSymbolicLink());
};
