// What a real program does, measured: one row of docs/agents.md.
import assert, { AssertionError } from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { AgentConnection, AgentEvent, Outcome, SessionSpec } from "../../src/agents/backend.ts";
import { askVersion, versionIn } from "../../src/agents/probe.ts";
import { installedProgram, makeRealAgent, modelOf, programPath, type Kind, type RealAgent, type RealOptions } from "./real-agent.ts";
import { presetNamed } from "../../src/agents/backends/presets/table.ts";
import { startModelServer } from "./model-server/server.ts";
import { until } from "./processes.ts";
import { assertNothingLeft, makeFolder, makeRepository, startTutti } from "./tutti.ts";
import { done, fileIn } from "./work.ts";

export interface Row {
  preset: string;
  kind: Kind;
  version: string | null;
  /** From the start of the program until it takes a prompt; null: it is started with its prompt. */
  startMs: number | null;
  /** A turn in which it writes a file. */
  turnMs: number;
  asks: boolean;
  /** With `permissions: ask` and nobody's consent nothing was written. */
  refused: boolean;
  cancelMs: number;
  /** After a SIGKILL it goes on with the conversation by its own memory. */
  resumes: boolean;
  tokens: boolean;
  /** How an error 400 of the model ends the turn, and whether the provider's words are in it. */
  error: string;
  notes: string[];
}

/** What stands in its place when the program did not get so far. */
export interface FailedRow {
  preset: string;
  kind: Kind;
  failed: string;
}

const never = (): AbortSignal => new AbortController().signal;

async function take(
  connection: AgentConnection,
  prompt: string,
  { signal = never(), allow }: { signal?: AbortSignal; allow?: boolean } = {},
): Promise<{ events: AgentEvent[]; outcome: Outcome; text: string }> {
  const events: AgentEvent[] = [];
  for await (const event of connection.prompt(prompt, signal)) {
    events.push(event);
    if (event.kind === "permission") connection.answer(event.id, allow ? (event.options.find(({ allows }) => allows)?.id ?? null) : null);
  }
  const last = events.at(-1);
  assert.ok(last?.kind === "outcome");
  const text = events.map((event) => (event.kind === "text" ? event.text : "")).join("");
  return { events, outcome: last.outcome, text };
}

async function connected<T>(
  agent: RealAgent,
  use: (connection: AgentConnection, startMs: number) => Promise<T>,
  changed: Partial<SessionSpec> = {},
): Promise<T> {
  const began = performance.now();
  const connection = await agent.backend.open(agent.spec(changed), never());
  const startMs = Math.round(performance.now() - began);
  try {
    return await use(connection, startMs);
  } finally {
    await connection.close();
    await until("nothing of it is left", () => agent.pids().length === 0, 5000);
  }
}

/** Drives the program through everything that a row says. Throws where it does not do its work, or leaves something behind. */
export async function measureRow(preset: string, kind: Kind, options: RealOptions = {}): Promise<Row> {
  const agent = await makeRealAgent(preset, { ...options, kind });
  const note: string[] = [];
  try {
    const program = installedProgram(preset, kind);
    const asked = await askVersion(program, { path: programPath(), home: agent.bench.home, signal: AbortSignal.timeout(30_000) });
    const written = await connected(agent, async (connection, startMs) => {
      const content = randomBytes(12).toString("hex");
      const began = performance.now();
      const { outcome, events } = await take(connection, agent.prompts.write("row.txt", content));
      const turnMs = Math.round(performance.now() - began);
      assert.equal(outcome.kind, "done", JSON.stringify(outcome));
      assert.equal(readFileSync(join(agent.cwd, "row.txt"), "utf8").trim(), content);
      if (!events.some((event) => event.kind === "tool" && event.state === "done")) note.push("tells of no tools");
      return { startMs: kind === "acp" ? startMs : null, turnMs, tokens: events.some(({ kind: of }) => of === "usage") };
    });
    const refusal = await connected(
      agent,
      async (connection) => {
        const { events } = await take(connection, "RUN echo no > refused.txt", { allow: false });
        return { asks: events.some((event) => event.kind === "permission"), refused: !existsSync(join(agent.cwd, "refused.txt")) };
      },
      { permissions: "ask" },
    );
    const error = await connected(agent, async (connection) => {
      const word = randomUUID();
      const { outcome } = await take(connection, agent.prompts.fail(word), { signal: AbortSignal.timeout(45_000) });
      return outcome.kind === "failed" ? (outcome.message.includes(word) ? "told" : "told without its words") : outcome.kind;
    });
    const cancelMs = await connected(agent, async (connection) => {
      const abort = new AbortController();
      const word = randomUUID();
      const told = take(connection, agent.prompts.hang(word), { signal: abort.signal });
      await agent.hanging(word);
      const began = performance.now();
      abort.abort();
      const { outcome } = await told;
      assert.equal(outcome.kind, "cancelled", JSON.stringify(outcome));
      return Math.round(performance.now() - began);
    });
    let resumes = await resumesAfterKill(agent);
    if (!resumes && kind === "acp" && preset === "gemini") {
      // It names the files of its sessions by the minute, and a session that is loaded in the minute of its making is lost.
      resumes = await resumesAfterKill(agent, async () => setTimeout(61_000 - (Date.now() % 60_000)));
      if (resumes) note.push("a session can be loaded from the next clock minute on");
    }
    return { preset, kind, version: versionIn(asked.output), ...written, ...refusal, cancelMs, resumes, error, notes: note };
  } finally {
    await agent.close();
  }
}

async function resumesAfterKill(agent: RealAgent, pause: () => Promise<void> = async () => undefined): Promise<boolean> {
  const word = randomUUID();
  const vendorSession = await connected(agent, async (connection) => {
    const { events } = await take(connection, agent.prompts.say(word));
    const hang = randomUUID();
    const told = take(connection, agent.prompts.hang(hang));
    await agent.hanging(hang);
    agent.kill?.();
    await told;
    return events.find((event) => event.kind === "session")?.vendorSession ?? null;
  });
  if (vendorSession === null) return false;
  await pause();
  // Without the past: what it knows it knows by itself.
  return await connected(agent, async (connection) => (await take(connection, agent.prompts.recall ?? "")).text.includes(word), {
    vendorSession,
  });
}

/**
 * A task of a real server, for the program in the session's sandbox: what the model writes through it stands on the task's branch of
 * the person's repository, and the provider's key nowhere but at the provider.
 */
export async function arrives(preset: string, kind: Kind): Promise<void> {
  const folder = makeFolder();
  const key = `sk-${randomBytes(16).toString("hex")}`;
  const models = await startModelServer([], { key });
  const repository = makeRepository(join(folder.path, "shop"), { "README.md": "A shop.\n" });
  const tutti = await startTutti({ home: folder.home, env: { PATH: programPath() } });
  try {
    const protocol = presetNamed(preset)?.protocols[0] ?? "openai";
    const baseUrl = protocol === "openai" ? `${models.url}/v1` : models.url;
    await tutti.client.command("provider.set", { name: "scripted", protocol, baseUrl, model: modelOf[protocol], key });
    const agent = await tutti.client.command("agent.create", {
      name: "worker",
      backend: kind,
      settings: { preset, command: [installedProgram(preset, kind)], credentials: "key", provider: "scripted" },
    });
    assert.equal(agent.detection.state, "ready", JSON.stringify(agent.detection));
    const project = await tutti.client.command("project.create", { folder: repository });
    const content = randomBytes(12).toString("hex");
    const made = await tutti.client.command("task.create", { project: project.id, prompt: `WRITE made.txt: ${content}`, agent: "worker" });
    const task = await done(tutti, made.id);
    assert.equal(fileIn(tutti, project.id, task.result?.commit, "made.txt"), content);
    assert.ok(models.requests.length > 0 && models.requests.every(({ authorization }) => authorization?.endsWith(key)));
    const { items } = await tutti.client.query("session.transcript", { id: task.session ?? "", limit: 500 });
    assert.ok(!JSON.stringify(items).includes(key));
    await assertNothingLeft(tutti.home);
  } finally {
    await tutti.stop();
    await models.close();
    folder.remove();
  }
}

/**
 * The tests of one program: each way that its preset has, measured, and the row kept. A way with a suite and a flow of its own
 * (`hasSuite`) is measured only for the table.
 */
export function rowsOf(preset: string, { hasSuite = [], ...options }: RealOptions & { hasSuite?: Kind[] } = {}): void {
  for (const kind of ["acp", "command"] as const) {
    const program = presetNamed(preset)?.[kind]?.program;
    // The run has said why; with --all it is a row of the table.
    if (hasSuite.includes(kind) && !process.env["TUTTI_TEST_ROWS"]) continue;
    if (!program || (process.env["TUTTI_TEST_AGENTS_MISSING"] ?? "").split(",").includes(program)) continue;
    test(`${preset} (${kind}): writes, is refused, cancelled, and goes on after a kill`, { timeout: 400_000 }, async () => {
      try {
        const row = await measureRow(preset, kind, options);
        keepRow(row);
        assert.deepEqual([row.refused, row.resumes, row.error !== "done"], [true, true, true], JSON.stringify(row));
        assert.ok(row.cancelMs < 12_000, JSON.stringify(row));
      } catch (error) {
        if (!(error instanceof AssertionError && error.actual instanceof Array))
          keepRow({ preset, kind, failed: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error) });
        throw error;
      }
    });
    test(`${preset} (${kind}): what it writes arrives in the repository`, { timeout: 200_000 }, () => arrives(preset, kind));
  }
}

/** Leaves the row for the run that writes the table; without one there is nothing to do. */
export function keepRow(row: Row | FailedRow): void {
  const folder = process.env["TUTTI_TEST_ROWS"];
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${row.preset}-${row.kind}.json`), JSON.stringify(row));
}
