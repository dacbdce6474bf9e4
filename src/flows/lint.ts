import type { Problem } from "./flow.ts";

/** The problems as text: `file:line:column: message`, and under it the likely fix. */
export const lintText = (problems: readonly Problem[]): string => problems.map(lineOf).join("\n");

function lineOf({ at, message, fix }: Problem): string {
  const line = `${at.file}:${at.line}:${at.column}: ${message}`;
  return fix === null ? line : `${line}\n  fix: ${fix}`;
}
