/**
 * Tasks as people write them down: one line each, `@agent` who should do it, `!3` how urgent (higher first). Both are words of
 * their own; what else stands in the line is the prompt, as it is. Pure.
 */
export interface TaskLine {
  prompt: string;
  agent: string | null;
  priority: number;
}

export interface ReadLines {
  tasks: TaskLine[];
  /** What cannot be meant, by line number from 1. */
  problems: { line: number; message: string }[];
}

export const mostLines = 500;

export function readLines(text: string): ReadLines {
  const tasks: TaskLine[] = [];
  const problems: ReadLines["problems"] = [];
  const lines = text.split("\n");
  if (lines.filter((line) => line.trim() !== "").length > mostLines)
    return { tasks: [], problems: [{ line: mostLines + 1, message: `at most ${mostLines} tasks at once` }] };
  for (const [index, line] of lines.entries()) {
    // People paste lists.
    const bare = line.replace(/^\s*(?:[-*+•]|\d+[.)])\s+(?:\[[ x]\]\s+)?/, "").trim();
    if (bare === "") continue;
    const agents = [...bare.matchAll(/(?<=^|\s)@([a-z0-9][a-z0-9-]{0,62})(?=\s|$)/g)].map((match) => match[1] ?? "");
    const urgent = [...bare.matchAll(/(?<=^|\s)!(-?\d{1,3})(?=\s|$)/g)].map((match) => Number(match[1]));
    const prompt = bare
      .replaceAll(/(?<=^|\s)(?:@[a-z0-9][a-z0-9-]{0,62}|!-?\d{1,3})(?=\s|$)/g, "")
      .replaceAll(/\s{2,}/g, " ")
      .trim();
    const problem =
      agents.length > 1
        ? "only one @agent"
        : urgent.length > 1
          ? "only one !priority"
          : urgent.some((one) => Math.abs(one) > 100)
            ? "a priority is from -100 to 100"
            : prompt === ""
              ? "nothing to do is written"
              : null;
    if (problem !== null) problems.push({ line: index + 1, message: problem });
    else tasks.push({ prompt, agent: agents[0] ?? null, priority: urgent[0] ?? 0 });
  }
  return { tasks, problems };
}
