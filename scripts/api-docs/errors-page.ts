import type { Explanation } from "../../src/explain.ts";
import { prose, table } from "./shape.ts";

/** docs/errors.md: every error code and every reason. */
export function errorsPage(explanations: Explanation[]): string {
  const errors = explanations.filter(({ kind }) => kind === "error");
  const reasons = explanations.filter(({ kind }) => kind === "reason");
  return [
    "# Errors and reasons",
    "Written by `npm run docs` from the texts of `tutti explain`, which says the same without a server: change the source, not this page.",
    `Every error, over HTTP, on the command line, for agents and in the dashboard, is one object: \`code\`, \`message\`, \`why\`, \`fix\` and
\`retryable\`. \`code\` comes from the closed list below; each code has one HTTP status and one exit code.`,
    table(
      ["code", "HTTP status", "exit code", "again?", "means"],
      errors.map(({ name, status, exitCode, retryable, means }) => [
        `[\`${name}\`](#${name})`,
        String(status),
        String(exitCode),
        retryable ? "yes" : "",
        prose(means),
      ]),
    ),
    "Beside these, 0 is done, 6 is a task or run that waits for a person, and 130 is ctrl-c.",
    ...errors.flatMap(part),
    "## Reasons",
    "Why a task, run, step or agent is in its state: `tutti explain <reason>`.",
    ...reasons.flatMap(part),
    "",
  ].join("\n\n");
}

const isCommand = (text: string): boolean => text.startsWith("tutti ");

const part = ({ name, means, when, fix }: Explanation): string[] => [
  `### ${name}`,
  prose(means),
  prose(when),
  fix.map((one) => `- ${isCommand(one) ? `\`${one}\`` : prose(one)}`).join("\n"),
];
