import { invalidInput } from "../errors.ts";

/** Where a test asks this process to die: at its n-th transaction that writes plans, before or after the COMMIT. */
export interface CrashPoint {
  commit: number;
  moment: "before" | "after";
}

/**
 * Reads TUTTI_CRASH_AT: `commit:N`, `commit:N:before` (the same) or `commit:N:after`, N from 1; undefined or "" is none.
 * Throws AppError invalid_input for anything else.
 */
export function parseCrashPoint(text: string | undefined): CrashPoint | null {
  if (text === undefined || text === "") return null;
  const match = /^commit:([1-9]\d{0,8})(?::(before|after))?$/.exec(text);
  if (!match) {
    throw invalidInput(`TUTTI_CRASH_AT cannot be "${text}"`, "it names the transaction at which the server kills itself, for tests", [
      "TUTTI_CRASH_AT=commit:3",
      "TUTTI_CRASH_AT=commit:3:after",
    ]);
  }
  return { commit: Number(match[1]), moment: match[2] === "after" ? "after" : "before" };
}

/** Counts the transactions of this process and dies at the asked one. */
export interface CrashCounter {
  /** A transaction is about to commit: counts it. */
  begin(): void;
  /** Whether the counted transaction is the one, at this moment. */
  isAt(moment: CrashPoint["moment"]): boolean;
  /** Dies when it is; nothing of this process runs after that. */
  check(moment: CrashPoint["moment"]): void;
}

export function makeCrashCounter(point: CrashPoint | null): CrashCounter {
  let count = 0;
  const isAt = (moment: CrashPoint["moment"]): boolean => point !== null && point.commit === count && point.moment === moment;
  return {
    begin: () => void (count += 1),
    isAt,
    check(moment) {
      if (!isAt(moment)) return;
      process.kill(process.pid, "SIGKILL");
      // The signal is delivered before the call returns; should it ever not be, nothing may go on from here.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    },
  };
}
