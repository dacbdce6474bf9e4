import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../errors.ts";
import type { RunningProcess } from "../../processes/process.ts";
import type { SessionSpec } from "../backend.ts";
import { keepLastWords } from "./last-words.ts";
import type { Launch } from "./launch.ts";

/**
 * A program that an agent needs beside it for the time of its session (OpenClaw's gateway): started in the session's sandbox, and
 * waited for until it listens.
 */

/** A port of loopback that nobody has now. Somebody may take it before it is used: then the companion ends, and says so. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (typeof address !== "object" || address === null) throw new Error("a listening server without an address");
  return address.port;
}

/** Resolves when it listens. Rejects with AppError `agent_unavailable`, or with the signal's reason; then it is ended. */
export async function startCompanion(
  spec: SessionSpec,
  { argv, port, startMs }: NonNullable<Launch["companion"]>,
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<RunningProcess> {
  const started = spec.start({ argv, env, stdin: "ignore", readable: [] });
  const lastWords = keepLastWords(started.stderr, spec.broker ? [spec.broker.token] : []);
  started.stdout.resume();
  const over = new AbortController();
  void started.exited.then(() => over.abort());
  const limit = AbortSignal.any([signal, over.signal, AbortSignal.timeout(startMs)]);
  if (await listens(port, limit)) return started;
  const hasEnded = over.signal.aborted;
  await started.stop({ graceMs: 0 });
  signal.throwIfAborted();
  const line = await lastWords.line();
  const why = hasEnded ? "it ended" : `it did not listen within ${startMs / 1000} s`;
  throw new AppError("agent_unavailable", `agent ${spec.agent.name} could not be started`, {
    why: `${argv.slice(0, 2).join(" ")}: ${why}${line ? `: ${line}` : ""}`,
    fix: [`tutti agents ${spec.agent.name}`],
  });
}

/** Asks again and again: nothing tells when another process begins to listen. */
async function listens(port: number, limit: AbortSignal): Promise<boolean> {
  while (!limit.aborted) {
    if (await canConnect(port)) return true;
    await sleep(100, undefined, { signal: limit }).catch(() => undefined);
  }
  return false;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.setTimeout(1000, () => socket.destroy());
    socket.once("connect", () => (resolve(true), socket.destroy()));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}
