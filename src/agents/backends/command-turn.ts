import type { RunningProcess } from "../../processes/process.ts";
import type { Outcome, SessionSpec } from "../backend.ts";
import { argvWith } from "./command-argv.ts";
import { readLines, readText } from "./command-output.ts";
import { writeHomeFiles } from "./home-files.ts";
import { keepLastWords, withoutSecrets } from "./last-words.ts";
import { commandWayOf, launchOf } from "./launch.ts";
import { LineTooLong } from "./lines.ts";
import { failureOf, Told } from "./streams/told.ts";
import type { Turn } from "./turn.ts";

/** One start of a program, for one turn. */
export interface CommandTurn {
  spec: SessionSpec;
  limits: CommandLimits;
  turn: Turn;
  prompt: string;
  /** The program's id of the conversation to go on with; null: a new one, or a program that remembers none. */
  resume: string | null;
  signal: AbortSignal;
}

export interface CommandLimits {
  /** A turn in which nothing is printed for so long ends. */
  silenceMs: number;
  /** How long a program that is told to end may take. */
  killGraceMs: number;
}

export interface CommandEnd {
  outcome: Outcome;
  /** null: the program tells nothing but its answer, or was never started. */
  told: Told | null;
  /** It was to go on with a conversation, and ended at once: it does not know it any more. */
  hasForgotten: boolean;
}

/** Never rejects. */
export async function runTurn(given: CommandTurn): Promise<CommandEnd> {
  const { spec, limits, signal } = given;
  let begun: Begun;
  try {
    begun = await begin(given);
  } catch (error) {
    return { outcome: { kind: "failed", cause: "process", message: messageOf(error), retryable: false }, told: null, hasForgotten: false };
  }
  if ("outcome" in begun) return { ...begun, told: null, hasForgotten: false };
  const { started } = begun;
  const watch = watchOver(started, limits, signal);
  try {
    return await follow(given, begun, watch);
  } catch (error) {
    await started.stop({ graceMs: 0 });
    const message = error instanceof LineTooLong ? error.message : `its output could not be read: ${messageOf(error)}`;
    const outcome = watch.ended() ?? { kind: "failed" as const, cause: "protocol" as const, message, retryable: false };
    return { outcome: hideSecrets(outcome, secretsOf(spec)), told: null, hasForgotten: false };
  } finally {
    watch.stop();
  }
}

type Begun = { outcome: Outcome } | { started: RunningProcess; vendorSession: string | null };

/** Throws what the starting throws. */
async function begin({ spec, prompt, resume, signal }: CommandTurn): Promise<Begun> {
  const launch = launchOf(spec, { resume });
  const given = argvWith(launch.argv, prompt);
  if ("refusal" in given) return { outcome: { kind: "failed", cause: "protocol", message: given.refusal, retryable: false } };
  await writeHomeFiles(spec.home, launch.files);
  if (signal.aborted) return { outcome: { kind: "cancelled" } };
  const started = spec.start({ argv: given.argv, env: launch.env, stdin: given.byStdin ? "pipe" : "ignore", readable: [] });
  if (given.byStdin) started.stdin?.on("error", () => undefined).end(prompt);
  return { started, vendorSession: launch.vendorSession };
}

async function follow(
  { spec, turn, resume }: CommandTurn,
  { started, vendorSession }: Extract<Begun, { started: RunningProcess }>,
  watch: Watch,
): Promise<CommandEnd> {
  const secrets = secretsOf(spec);
  const lastWords = keepLastWords(started.stderr, secrets);
  const way = commandWayOf(spec.agent);
  if (!way) {
    const answer = await readText(started, turn, watch.heard);
    const exit = await started.exited;
    const outcome: Outcome =
      exit.code === 0
        ? { kind: "done", output: answer.trim() }
        : failureOf(exit, (await lastWords.line()) || withoutSecrets(lastLine(answer), secrets), Date.now());
    return { outcome: watch.ended() ?? outcome, told: null, hasForgotten: false };
  }
  const told = new Told((event) => turn.push(event));
  if (vendorSession !== null) told.session(vendorSession);
  await readLines(started, turn, watch.heard, (line) => way.read(line, told));
  const exit = await started.exited;
  const ended = watch.ended();
  const outcome = ended ?? hideSecrets(told.outcome(exit, await lastWords.line(), Date.now()), secrets);
  return { outcome, told, hasForgotten: !ended && resume !== null && told.hasForgotten(exit, await lastWords.all()) };
}

interface Watch {
  heard(): void;
  /** What we ended ourselves is called so, whatever the program made of it; null: it ended by itself. */
  ended(): Outcome | null;
  stop(): void;
}

function watchOver(started: RunningProcess, { silenceMs, killGraceMs }: CommandLimits, signal: AbortSignal): Watch {
  let why: "cancel" | "silence" | null = null;
  const end = (reason: "cancel" | "silence"): void => {
    why ??= reason;
    void started.stop({ graceMs: killGraceMs });
  };
  const cancel = (): void => end("cancel");
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
  const silence = setTimeout(() => end("silence"), silenceMs);
  return {
    heard: () => void silence.refresh(),
    ended() {
      if (why === null) return null;
      if (why === "cancel") return { kind: "cancelled" };
      const minutes = Math.round(silenceMs / 6000) / 10;
      return { kind: "failed", cause: "time", message: `nothing was heard from the program for ${minutes} minutes`, retryable: true };
    },
    stop() {
      clearTimeout(silence);
      signal.removeEventListener("abort", cancel);
    },
  };
}

const secretsOf = ({ broker }: SessionSpec): string[] => (broker ? [broker.token] : []);
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const lastLine = (text: string): string => text.trim().split("\n").at(-1)?.slice(0, 500) ?? "";

function hideSecrets(outcome: Outcome, secrets: readonly string[]): Outcome {
  return outcome.kind === "failed" || outcome.kind === "limited"
    ? { ...outcome, message: withoutSecrets(outcome.message, secrets) }
    : outcome;
}
