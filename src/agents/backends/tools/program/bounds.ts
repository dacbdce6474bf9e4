/**
 * Limits and errors of the tool program. Everything in this folder runs inside the session's sandbox, with nothing but
 * Node's own modules: it must not import anything from outside of this folder.
 */
export const maxOutputBytes = 256 * 1024;

/** A tool's own refusal: its message goes to the model as the tool's result. Any other error is reported with its system code. */
export class ToolFailure extends Error {}

/** Keeps head and tail, because a test run says what failed at its end; says how much is missing in between. */
export function cutMiddle(text: Buffer, limit: number = maxOutputBytes): string {
  if (text.length <= limit) return text.toString("utf8");
  const half = Math.floor(limit / 2) - 64;
  const missing = text.length - 2 * half;
  return `${text.subarray(0, half).toString("utf8")}\n[... ${missing} bytes left out ...]\n${text.subarray(text.length - half).toString("utf8")}`;
}

export const textOf = (input: Record<string, unknown>, name: string): string => {
  const value = input[name];
  if (typeof value !== "string") throw new ToolFailure(`"${name}" must be a text`);
  return value;
};

export const optionalText = (input: Record<string, unknown>, name: string, fallback: string): string =>
  input[name] === undefined || input[name] === null ? fallback : textOf(input, name);

export const optionalNumber = (input: Record<string, unknown>, name: string, fallback: number): number => {
  const value = input[name] ?? fallback;
  if (typeof value !== "number" || !Number.isFinite(value)) throw new ToolFailure(`"${name}" must be a number`);
  return value;
};
