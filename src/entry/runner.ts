import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { z } from "zod";
import { findLiveToken } from "../access/store.ts";
import type { Artifacts } from "../artifacts/artifact.ts";
import type { Db } from "../db/plan.ts";
import { AppError, conflict, forbidden, invalidInput, notFound, toAppError } from "../errors.ts";
import type { Actor } from "../registry.ts";
import type { Connections } from "../runners/connections.ts";
import { deadlineOf } from "../runners/lease.ts";
import type { FromRunner } from "../runners/message.ts";
import {
  heartbeatMs,
  LeaseRequest,
  tellBytes,
  TellRequest,
  type LeaseAnswer,
  type TellAnswer,
  type Told,
} from "../runners/remote/protocol.ts";
import { findLife, giveBackRunnerLease, holdsRunnerEpoch, noteServer, renewRunnerLease, takeRunnerLease } from "../runners/store.ts";
import type { HttpLog, Mount } from "./http.ts";
import { answerJson, writeHead } from "./http/answer.ts";
import { readJson } from "./http/body.ts";

/**
 * The door of runners that are processes of their own, at /runner (src/runners/remote/protocol.ts). http.ts lets in whoever has a
 * token of kind "runner" and nobody else; the token's name is the runner's id, and nothing that a request says can change it.
 */
export interface RunnerDoorOptions {
  db: Db;
  artifacts: Artifacts;
  connections: Connections;
  /** Where this server is, for `runners.server`. */
  url(): string;
  receive(message: FromRunner): Promise<boolean>;
  log: HttpLog;
  heartbeatMs?: number;
}

export interface RunnerDoor extends Mount {
  /** Ends the streams: their runners go to another server, or to this one's next life. Harmless twice. */
  close(): void;
}

/** What a runner has not taken yet of its messages. Above this it is cut, and is told everything again when it comes back. */
const mostBuffered = 8 * 1024 * 1024;

export function makeRunnerDoor(options: RunnerDoorOptions): RunnerDoor {
  const { db, artifacts, connections } = options;
  const closing = new AbortController();

  async function handle(request: IncomingMessage, response: ServerResponse, { name: runner, token }: Actor): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
    const [, , what = "", id = "", more] = pathname.split("/");
    if (more !== undefined || (id !== "" && what !== "artifacts")) throw notFound("runner door", pathname.slice(0, 200));
    switch (`${request.method} ${what}`) {
      case "POST lease":
        return answerJson(response, await lease(runner, parse(LeaseRequest, await readJson(request))));
      case "POST tell":
        return answerJson(response, await tell(runner, parse(TellRequest, await readJson(request, tellBytes)).messages));
      case "GET messages":
        return await messages({ runner, epoch: numberOf(searchParams, "epoch") ?? -1 }, token, response);
      case "PUT artifacts":
        return answerJson(response, await artifacts.put(request));
      case "GET artifacts":
      case "HEAD artifacts":
        return await artifact(request.method === "HEAD", id, searchParams, response);
      default:
        throw new AppError("method_not_allowed", `${request.method} ${pathname.slice(0, 200)} is nothing that a runner asks`);
    }
  }

  async function lease(runner: string, request: LeaseRequest): Promise<LeaseAnswer> {
    const answer = { runner, deadlineMs: request.kind === "give back" ? 1 : deadlineOf(request.leaseMs) };
    switch (request.kind) {
      case "take": {
        const taken = await findLife(db.read, runner, request.life);
        return { ...answer, kept: true, epoch: taken ?? (await takeRunnerLease(db, { runner, ...request })) };
      }
      case "renew": {
        const { epoch } = request;
        return { ...answer, epoch, kept: await renewRunnerLease(db, { runner, epoch }, request) };
      }
      case "give back":
        await giveBackRunnerLease(db, { runner, epoch: request.epoch });
        return { ...answer, epoch: request.epoch, kept: false };
    }
  }

  /** Attempts side by side, so that one transaction takes many; the messages of one attempt one after the other. */
  async function tell(runner: string, told: FromRunner[]): Promise<TellAnswer> {
    if (told.some((message) => message.runner !== runner))
      throw forbidden("a runner tells only of its own attempts", `the token is ${runner}'s`);
    const answers: Told[] = told.map(() => ({ kind: "later" }));
    const lanes = Map.groupBy(told.keys(), (index) => laneOf(told[index]));
    await Promise.all([...lanes.values()].map((indexes) => tellLane(told, indexes, answers)));
    return { answers };
  }

  /** After a message that could not be written, none of its attempt is looked at: they stand in their order. */
  async function tellLane(told: FromRunner[], indexes: number[], answers: Told[]): Promise<void> {
    for (const index of indexes) {
      const message = told[index];
      const answer = message ? await take(message) : null;
      if (!answer) return;
      answers[index] = answer;
      if (answer.kind === "failed") return;
    }
  }

  async function take(message: FromRunner): Promise<Told> {
    try {
      return { kind: (await options.receive(message)) ? "accepted" : "refused" };
    } catch (error) {
      const problem = toAppError(error);
      if (problem.code === "internal")
        options.log.error({ err: error, kind: message.kind, task: message.task }, "a runner's word was not taken");
      return { kind: "failed", error: problem.toJSON() };
    }
  }

  /** Everything for one runner, one JSON text a line, until the server closes, the lease is over or its token is revoked. */
  async function messages(who: { runner: string; epoch: number }, token: string, response: ServerResponse): Promise<void> {
    if (closing.signal.aborted) throw new AppError("busy", "this server is stopping");
    if (!(await noteServer(db, who, options.url()))) throw conflict("this runner's lease is over, or another life of it has it");
    response.socket?.setNoDelay(true);
    writeHead(response, 200, { "content-type": "application/x-ndjson; charset=utf-8", "x-accel-buffering": "no" });
    response.flushHeaders();
    const over = new AbortController();
    const end = (): void => over.abort();
    const write = (line: string): void => {
      response.write(`${line}\n`);
      if (response.writableLength > mostBuffered) response.destroy();
    };
    const leave = connections.add({ ...who, send: (message) => write(JSON.stringify(message)), close: end });
    const beat = setInterval(() => {
      write("");
      isGood(who, token).then(
        (good) => good || end(),
        () => undefined,
      ); // A store that does not answer proves nothing against it.
    }, options.heartbeatMs ?? heartbeatMs);
    response.once("close", end);
    closing.signal.addEventListener("abort", end, { once: true });
    if (!over.signal.aborted) await once(over.signal, "abort");
    leave();
    clearInterval(beat);
    closing.signal.removeEventListener("abort", end);
    response.end();
  }

  const isGood = async (who: { runner: string; epoch: number }, token: string): Promise<boolean> =>
    (await findLiveToken(db.read, token)) !== null && (await holdsRunnerEpoch(db.read, who));

  async function artifact(isHead: boolean, id: string, range: URLSearchParams, response: ServerResponse): Promise<void> {
    const size = await artifacts.size(id);
    const end = Math.min(numberOf(range, "end") ?? size, size);
    const start = Math.min(numberOf(range, "start") ?? 0, end);
    // Fewer bytes than promised would leave the runner waiting: then the connection is cut.
    response.strictContentLength = true;
    writeHead(response, 200, { "content-type": "application/octet-stream", "content-length": end - start });
    if (isHead || start === end) response.end();
    else await pipeline(Readable.from(artifacts.open(id, start, end)), response);
  }

  return { path: "/runner", below: true, runners: true, handle, close: () => closing.abort() };
}

/** Live text is no part of its attempt's order. */
const laneOf = (message: FromRunner | undefined): string => (message?.kind === "delta" ? "delta" : `${message?.task}#${message?.attempt}`);

/** Throws AppError invalid_input. */
function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalidInput("this is nothing that a runner says", `${issue?.path.join(".")}: ${issue?.message}`);
}

/** Throws AppError invalid_input. */
function numberOf(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null) return null;
  if (!/^\d{1,15}$/.test(text)) throw invalidInput(`"${name}" is no number`);
  return Number(text);
}
