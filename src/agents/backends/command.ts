import { StringDecoder } from "node:string_decoder";
import { finished } from "node:stream/promises";
import { AppError } from "../../errors.ts";
import type { Exit, RunningProcess } from "../../processes/process.ts";
import type { AgentBackend, AgentConnection, Outcome, PastTurn, SessionSpec } from "../backend.ts";
import { keepLastWords, withoutSecrets } from "./last-words.ts";
import { withPast } from "./past.ts";
import { detectProgram, launchOf, type Launch } from "./presets.ts";
import { outcomeOfModelError } from "./program-error.ts";
import { Turn } from "./turn.ts";

/**
 * Any command line program, started once for each turn: it is given the prompt, and what it prints is its answer. It cannot ask
 * and does not remember: what was said before is given along with the prompt.
 */
export const commandBackend: AgentBackend = {
  kind: "command",
  detect: detectProgram,
  open,
};

const placeholder = "{prompt}";
/** Linux takes no longer argument than 128 KiB. */
const longestArgument = 120 * 1024;
/** So much of the output becomes the answer: the newest. In characters. */
const mostAnswer = 1024 * 1024;
const killGraceMs = 2000;
/** A process that left the group can hold the output open after the program's end. */
const drainMs = 2000;

async function open(spec: SessionSpec, signal: AbortSignal): Promise<AgentConnection> {
  signal.throwIfAborted();
  if (!spec.agent.settings.command) {
    throw new AppError("agent_unavailable", `agent ${spec.agent.name} names no command`, {
      fix: ["name the command in the agent's settings"],
    });
  }
  return makeConnection(spec, launchOf(spec));
}

function makeConnection(spec: SessionSpec, launch: Launch): AgentConnection {
  const past: PastTurn[] = [...spec.past];
  const closing = new AbortController();
  const running = new Set<Promise<unknown>>();
  return {
    abilities: { resume: false, permissions: false, usage: false },
    async *prompt(text, signal) {
      const stopped = AbortSignal.any([signal, closing.signal]);
      const turn = new Turn();
      const left = new AbortController();
      const done = takeTurn({ spec, launch, turn, prompt: withPast(past, text), signal: AbortSignal.any([stopped, left.signal]) });
      running.add(done);
      try {
        yield* turn.read();
      } finally {
        left.abort();
        const outcome = await done;
        running.delete(done);
        if (outcome.kind === "done") past.push({ prompt: text, output: outcome.output });
      }
    },
    answer: () => undefined,
    async close() {
      closing.abort();
      await Promise.all(running);
    },
  };
}

interface CommandTurn {
  spec: SessionSpec;
  launch: Launch;
  turn: Turn;
  prompt: string;
  signal: AbortSignal;
}

/** Never rejects. */
async function takeTurn({ spec, launch, turn, prompt, signal }: CommandTurn): Promise<Outcome> {
  const outcome = signal.aborted ? cancelled : await run();
  turn.end(outcome);
  return outcome;

  async function run(): Promise<Outcome> {
    const given = argvWith(launch.argv, prompt);
    if ("refusal" in given) return { kind: "failed", cause: "protocol", message: given.refusal, retryable: false };
    let started: RunningProcess;
    try {
      started = spec.start({ argv: given.argv, env: launch.env, stdin: given.byStdin ? "pipe" : "ignore", readable: [] });
    } catch (error) {
      return { kind: "failed", cause: "process", message: error instanceof Error ? error.message : String(error), retryable: false };
    }
    const stop = (): void => void started.stop({ graceMs: killGraceMs });
    signal.addEventListener("abort", stop, { once: true });
    if (given.byStdin) started.stdin?.on("error", () => undefined).end(prompt);
    const secrets = spec.broker ? [spec.broker.token] : [];
    const lastWords = keepLastWords(started.stderr, secrets);
    const answer = await readAnswer(started, turn);
    const exit = await started.exited;
    signal.removeEventListener("abort", stop);
    if (signal.aborted) return cancelled;
    if (exit.code === 0) return { kind: "done", output: answer.trim() };
    return failure(exit, (await lastWords.line()) || withoutSecrets(lastLine(answer), secrets));
  }
}

/** The answer as it comes; a program that ended is not waited for because of what it left behind. */
async function readAnswer(started: RunningProcess, turn: Turn): Promise<string> {
  const { stdout, exited } = started;
  const decoder = new StringDecoder("utf8");
  let answer = "";
  const add = (text: string): void => {
    if (text === "") return;
    answer = (answer + text).slice(-mostAnswer);
    turn.push({ kind: "text", text });
  };
  let waitOn = (): void => undefined;
  stdout.on("data", (chunk: Buffer) => {
    add(decoder.write(chunk));
    stdout.pause();
    void turn.room().then(() => {
      waitOn();
      stdout.resume();
    });
  });
  const ended = finished(stdout).catch(() => undefined);
  await exited;
  const drain = setTimeout(() => stdout.destroy(), drainMs);
  waitOn = () => void drain.refresh();
  await ended;
  clearTimeout(drain);
  add(decoder.end());
  return answer;
}

const cancelled: Outcome = { kind: "cancelled" };

function failure(exit: Exit, line: string): Outcome {
  const how = exit.signal ? `was ended by ${exit.signal}` : `ended with code ${exit.code}`;
  const message = `the program ${how}${line ? `: ${line}` : ""}`;
  const said = outcomeOfModelError(line, Date.now());
  if (said.kind === "limited") return { ...said, message };
  // 126 and 127: it could not be started, and will not be the next time.
  return { kind: "failed", cause: "process", message, retryable: exit.code !== 126 && exit.code !== 127 };
}

const lastLine = (text: string): string => text.trim().split("\n").at(-1)?.slice(0, 500) ?? "";

/**
 * The prompt as one whole item, never as part of one and never through a shell. Refused is what a program would take for something
 * else: a prompt that begins with a dash is an option unless "--" stands before it.
 */
export function argvWith(argv: readonly string[], prompt: string): { argv: string[]; byStdin: boolean } | { refusal: string } {
  if (!argv.includes(placeholder)) return { argv: [...argv], byStdin: true };
  const byStdin = "leave {prompt} out of the command, then the prompt comes by stdin";
  if (prompt.includes("\0")) return { refusal: `the prompt holds a NUL, which no argument can; ${byStdin}` };
  if (Buffer.byteLength(prompt) > longestArgument) {
    return { refusal: `the prompt is longer than an argument may be (${longestArgument / 1024} KB); ${byStdin}` };
  }
  const isOption = prompt.startsWith("-") && argv.some((item, index) => item === placeholder && argv[index - 1] !== "--");
  if (isOption) return { refusal: `the prompt begins with "-" and would be taken for an option: put "--" before {prompt}, or ${byStdin}` };
  return { argv: argv.map((item) => (item === placeholder ? prompt : item)), byStdin: false };
}
