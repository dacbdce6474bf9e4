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
  const missing = subjects.filter((subject) => !text?.includes(subject));
  if (missing.length === 0) return `${file} has every commit already; I changed nothing.`;
  const points = missing.map((subject) => `- ${subject}`).join("\n");
  const written = text === null ? yield* begin(points) : yield* add(text, points);
  if (!written.ok) return `I could not change ${file}: ${written.output}`;
  return `I added ${missing.length} ${missing.length === 1 ? "line" : "lines"} to ${file}, from the commits that it did not have:\n${points}`;
}

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
  const open = /^## +\[?unreleased\]?[^\n]*$/im.exec(text)?.[0];
  if (open) return yield* call(say, "edit", { path: file, oldText: uniqueFrom(text, open), newText: uniqueFrom(text, open).replace(open, () => `${open}\n\n${points}`) });
  const newest = /^## [^\n]*$/m.exec(text)?.[0];
  const section = `${heading}\n\n${points}\n`;
  if (newest) return yield* call(say, "edit", { path: file, oldText: uniqueFrom(text, newest), newText: `${section}\n${uniqueFrom(text, newest)}` });
  return yield* call(say, "write", { path: file, content: `${text.trimEnd()}\n\n${section}` });
}

/** As many lines from this one on as make the text unique: a heading may be repeated in the text. */
function uniqueFrom(text: string, line: string): string {
  const start = text.search(new RegExp(`^${RegExp.escape(line)}$`, "m"));
  let end = start + line.length;
  while (end < text.length && text.split(text.slice(start, end)).length > 2) {
    const next = text.indexOf("\n", end + 1);
    end = next < 0 ? text.length : next;
  }
  return text.slice(start, end);
}
