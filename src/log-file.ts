import { mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Where the server's log goes. On a disk that is full lines are dropped, and their number is said with the first one that fits again.
 * (pino's own destination waits in the middle of the event loop until there is room, for ever if need be: the log is the last
 * thing that may stop a server that answers.)
 */
export function openLogFile(file: string): { write(line: string): void } {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const log = openSync(file, "a", 0o600);
  let dropped = 0;
  return {
    write(line) {
      try {
        const said =
          dropped === 0
            ? line
            : `${JSON.stringify({ level: 40, time: Date.now(), msg: `${dropped} lines were dropped: the disk was full` })}\n${line}`;
        writeSync(log, said);
        dropped = 0;
      } catch (error) {
        if (!(error as NodeJS.ErrnoException).syscall) throw error;
        dropped += 1;
      }
    },
  };
}
