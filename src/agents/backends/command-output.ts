import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { finished } from "node:stream/promises";
import type { RunningProcess } from "../../processes/process.ts";
import { LineTooLong, linesOf } from "./lines.ts";
import type { Line } from "./streams/told.ts";
import type { Turn } from "./turn.ts";

/** So much of the output becomes the answer: the newest. In characters. */
const mostAnswer = 1024 * 1024;
/** Programs repeat whole conversations in one line. In bytes. */
const longestLine = 64 * 1024 * 1024;
/** A process that left the group can hold the output open after the program's end. */
const drainMs = 2000;

/** The answer of a program that prints text, as it comes. `heard` is called for every piece. */
export async function readText(started: RunningProcess, turn: Turn, heard: () => void): Promise<string> {
  const decoder = new StringDecoder("utf8");
  let answer = "";
  const add = (text: string): void => {
    if (text === "") return;
    answer = (answer + text).slice(-mostAnswer);
    turn.push({ kind: "text", text });
  };
  const { stdout } = started;
  const drain = keepDraining(started);
  stdout.on("data", (chunk: Buffer) => {
    heard();
    add(decoder.write(chunk));
    stdout.pause();
    void turn.room().then(() => {
      drain.refresh();
      stdout.resume();
    });
  });
  await finished(stdout).catch(() => undefined);
  drain.stop();
  add(decoder.end());
  return answer;
}

/**
 * The output of a program that prints one JSON object a line. What is none (a warning between them) is passed over.
 * Throws LineTooLong.
 */
export async function readLines(started: RunningProcess, turn: Turn, heard: () => void, read: (line: Line) => void): Promise<void> {
  const drain = keepDraining(started);
  const room = async (): Promise<void> => {
    heard();
    await turn.room();
    drain.refresh();
  };
  try {
    for await (const text of linesOf(started.stdout, longestLine, room)) {
      const line = parsed(text);
      if (line) read(line);
    }
  } catch (error) {
    // Any other error is the end of the output, which we may have closed ourselves.
    if (error instanceof LineTooLong) throw error;
  } finally {
    drain.stop();
  }
}

/** A program that ended is not waited for because of what it left behind: its output is closed soon after. */
function keepDraining({ stdout, exited }: { stdout: Readable; exited: Promise<unknown> }): { refresh(): void; stop(): void } {
  let drain: NodeJS.Timeout | undefined;
  let stopped = false;
  void exited.then(() => {
    if (!stopped) drain = setTimeout(() => stdout.destroy(), drainMs);
  });
  return {
    refresh: () => void drain?.refresh(),
    stop() {
      stopped = true;
      clearTimeout(drain);
    },
  };
}

function parsed(text: string): Line | null {
  if (!text.trimStart().startsWith("{")) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Line) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
