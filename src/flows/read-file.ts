import { posix } from "node:path";
import { quoted, textOfFile, type Text } from "./locate.ts";
import { readText, type Named } from "./read-fields.ts";
import type { Reading } from "./read-values.ts";

const maxLength = 256_000;

/** A file that the flow names, with the name that messages give it. */
export interface FileBeside {
  file: string;
  text: Text;
}

/**
 * Reads a file that stands beside the flow or in a folder below. Absolute paths and `..` are refused: a flow that somebody
 * else wrote must not reach the reader's other files. Null: it cannot be read, and a problem says so.
 */
export function readFileBeside(named: Named, { file, problems, readFile }: Reading): FileBeside | null {
  const path = readText(named, problems, 500);
  if (path === null) return null;
  const { at } = named.node;
  const fault = faultOfPath(path);
  if (fault !== null) {
    problems.add(
      at,
      `${quoted(named.name)}: ${quoted(path)} ${fault}`,
      "name a file beside the flow, or in a folder below it, like prompts/plan.md",
    );
    return null;
  }
  const normal = posix.normalize(path);
  const content = readFile(normal);
  if (content === null) problems.add(at, `${quoted(named.name)}: there is no file ${quoted(path)} beside the flow`, null);
  else if (content.length > maxLength)
    problems.add(at, `${quoted(named.name)}: ${quoted(path)} is longer than ${maxLength} characters`, null);
  if (content === null || content.length > maxLength) return null;
  const shown = posix.join(posix.dirname(file), normal);
  return { file: shown, text: textOfFile(content, shown) };
}

function faultOfPath(path: string): string | null {
  if (path.startsWith("/") || /^[A-Za-z]:/.test(path)) return "is an absolute path";
  if (path.includes("\\")) return "has a backslash in it";
  if (path.split("/").includes("..")) return "leaves the flow's folder";
  return path.endsWith("/") || posix.normalize(path) === "." ? "is a folder" : null;
}
