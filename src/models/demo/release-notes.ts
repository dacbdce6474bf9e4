import { call, type Behaviour } from "./behaviour.ts";

const file = "CHANGELOG.md";
const heading = "## Unreleased";

/** Adds the subjects of those commits to CHANGELOG.md that it does not have yet. */
export function* writeReleaseNotes(): Behaviour {
  const log = yield* call("I read the commits.", "shell", { command: "git log --no-merges --max-count=100 --format=%s" });
  const before = yield* call("I read the notes so far.", "read", { path: file });
  if (!log.ok) return `I could not read the commits, so I changed nothing: ${log.output}`;
  const subjects = subjectsIn(log.output);
  if (!subjects) return `git could not tell me the commits, so I changed nothing: ${log.output.slice(0, 300)}`;
  const text = before.ok ? before.output : null;
  const known = new Set((text ?? "").split("\n").map(plain));
  const missing = subjects.filter((subject) => !known.has(plain(subject)));
  if (missing.length === 0) return `${file} has every commit already; I changed nothing.`;
  const points = missing.map((subject) => `- ${subject}`).join("\n");
  const written = text === null ? yield* begin(points) : yield* add(text, points);
  if (!written.ok) return `I could not change ${file}: ${written.output}`;
  return `I added ${missing.length} ${missing.length === 1 ? "line" : "lines"} to ${file}, from the commits that it did not have:\n${points}`;
}

/** A line without its list mark and full stop. */
const plain = (line: string): string =>
  line
    .trim()
    .replace(/^[-*]\s+/, "")
    .replace(/\.$/, "");

/** null when the command failed. */
function subjectsIn(output: string): string[] | null {
  const lines = output.split("\n");
  const end = lines.findIndex((line) => /^\[exit code \d+\]$/.test(line));
  if (lines[end] !== "[exit code 0]") return null;
  return [...new Set(lines.slice(0, end).map((line) => line.trim().replaceAll(/\s+/g, " ")))].filter((line) => line !== "");
}

const begin = (points: string): Behaviour<{ ok: boolean; output: string }> =>
  call(`There is no ${file}; I begin one.`, "write", { path: file, content: `# Changelog\n\n${heading}\n\n${points}\n` });

/** Below the heading for what is not released, or as a new section before the newest one, or at the end. */
function* add(text: string, points: string): Behaviour<{ ok: boolean; output: string }> {
  const say = "I add what is missing.";
  // The heading with the first line below it, so that new points join the list that is there.
  const open = /^(## +\[?unreleased\]?[^\n]*)(\n+)?(?=(.?))/im.exec(text);
  if (open) {
    const [whole, line = "", , next = ""] = open;
    const between = next === "-" || next === "*" ? "\n" : "\n\n";
    return yield* call(say, "edit", { path: file, ...replaced(text, open.index, whole.length, `${line}\n\n${points}${between}`) });
  }
  const newest = /^## /m.exec(text);
  const section = `${heading}\n\n${points}\n`;
  if (newest) return yield* call(say, "edit", { path: file, ...replaced(text, newest.index, 0, `${section}\n`) });
  return yield* call(say, "write", { path: file, content: `${text.trimEnd()}\n\n${section}` });
}

/** An edit at this place, with as much of what follows as makes the old text unique. */
function replaced(text: string, start: number, length: number, by: string): { oldText: string; newText: string } {
  let end = start + Math.max(length, 1);
  while (end < text.length && text.indexOf(text.slice(start, end)) !== text.lastIndexOf(text.slice(start, end))) end += 1;
  return { oldText: text.slice(start, end), newText: by + text.slice(start + length, end) };
}
