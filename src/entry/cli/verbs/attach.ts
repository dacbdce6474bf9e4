import { randomUUID } from "node:crypto";
import { createInterface, type Interface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { AppError } from "../../../errors.ts";
import { isTerminal } from "../../../tasks/task.ts";
import { connect, type TuttiClient } from "../connect.ts";
import { sayOnInterrupt } from "../interrupt.ts";
import { note, oneLine, printError, stateText, styled } from "../output.ts";
import { keepTitle } from "../title.ts";
import { sessionOf, transcriptPrinter, unlessRetryable } from "./logs.ts";

const lookMs = 250;
const [ctrlC, ctrlD] = ["\u0003", "\u0004"];

/**
 * A task's conversation as it goes on. Looking sends nothing, neither at the beginning nor at the end: only a line that a person
 * typed becomes a reply, and with `readOnly` not even that. On a terminal it stays until the person leaves; else until the work and
 * the input have ended. Throws AppError not_found when there is no such task or session.
 */
export async function attach(id: string, { readOnly = false }: { readOnly?: boolean }, json: boolean): Promise<void> {
  const { client } = await connect();
  const { session, task } = await sessionOf(client, id, true);
  const left = new AbortController();
  const leave = (): void => left.abort();
  note(styled("dim", `${task} in ${session}    ${howToLeave(readOnly)}`, process.stderr));
  const done = sayOnInterrupt(() => note(`\nleft ${task}: it goes on    tutti attach ${task}    tutti stop ${task}`));
  const giveTitleBack = keepTitle(client, task);
  const replies = makeReplies(client, task);
  const closeInput = readOnly ? watchKeys(leave) : readLines(replies, leave);
  try {
    await follow(client, { session, task, json, untilEnded: readOnly || !process.stdin.isTTY, replies, readOnly }, left.signal);
  } finally {
    closeInput();
    giveTitleBack();
    done();
  }
  if (replies.refused() && !process.stdin.isTTY) process.exitCode = 9;
}

function howToLeave(readOnly: boolean): string {
  if (!process.stdin.isTTY) return readOnly ? "ctrl-c leaves" : "each line is a reply; ctrl-c leaves";
  return readOnly ? "read only; q or ctrl-c leaves" : "what you type is a reply; ctrl-d or ctrl-c leaves";
}

interface Followed {
  session: string;
  task: string;
  json: boolean;
  untilEnded: boolean;
  readOnly: boolean;
  replies: Replies;
}

async function follow(client: TuttiClient, followed: Followed, signal: AbortSignal): Promise<void> {
  const { session, task, json, untilEnded, readOnly, replies } = followed;
  const printNew = transcriptPrinter(client, session, json);
  let told = "";
  while (!signal.aborted) {
    // Asked before the state: an end from before the last reply is none.
    const isInputOver = readOnly || replies.areOver();
    try {
      const { state, reason } = await client.query("task.get", { id: task });
      await printNew();
      const stands = stateText(state, reason, process.stderr);
      if (stands !== told)
        note(`${styled("dim", task, process.stderr)}  ${stands}${state === "needs you" ? "    tutti ls approvals" : ""}`);
      told = stands;
      if (untilEnded && isTerminal(state) && isInputOver) return;
    } catch (error) {
      unlessRetryable(error);
    }
    await pause(lookMs, undefined, { signal }).catch(() => undefined); // Leaving ends the pause.
  }
}

interface Replies {
  send(line: string): void;
  /** No more lines will come. */
  close(): void;
  /** ... and each was taken or refused. */
  areOver(): boolean;
  refused(): boolean;
}

/** Replies go out one after another, each as soon as it was typed. What is refused is said, and never sent later. */
function makeReplies(client: TuttiClient, task: string): Replies {
  let waiting = 0;
  let isClosed = false;
  let wasRefused = false;
  let sending = Promise.resolve();
  const send = async (text: string): Promise<void> => {
    try {
      await client.command("task.reply", { id: task, text }, { key: randomUUID() });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      wasRefused = true;
      note(`not sent: ${oneLine(text).slice(0, 80)}`);
      printError(error);
    } finally {
      waiting -= 1;
    }
  };
  return {
    send(line) {
      if (line.trim() === "") return;
      waiting += 1;
      sending = sending.then(() => send(line));
    },
    close: () => (isClosed = true),
    areOver: () => isClosed && waiting === 0,
    refused: () => wasRefused,
  };
}

function readLines(replies: Replies, leave: () => void): () => void {
  const lines: Interface = createInterface({ input: process.stdin, output: process.stdin.isTTY ? process.stderr : undefined, prompt: "" });
  lines.on("line", (line) => replies.send(line));
  lines.on("SIGINT", () => process.emit("SIGINT"));
  lines.on("close", () => {
    replies.close();
    if (process.stdin.isTTY) leave();
  });
  return () => lines.close();
}

/** Keys are looked at for leaving alone, and not shown: whatever else is typed goes nowhere. */
function watchKeys(leave: () => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  const onKeys = (keys: Buffer): void => {
    const text = keys.toString("latin1");
    if (text.includes(ctrlC)) process.emit("SIGINT");
    else if (text.toLowerCase().includes("q") || text.includes(ctrlD)) leave();
  };
  const giveBack = (): void => void stdin.setRawMode(false);
  stdin.setRawMode(true);
  process.once("exit", giveBack);
  stdin.on("data", onKeys);
  return () => {
    stdin.off("data", onKeys);
    stdin.pause();
    process.off("exit", giveBack);
    giveBack();
  };
}
