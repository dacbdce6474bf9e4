import assert from "node:assert/strict";
import type { z } from "zod";
import { sql } from "../../src/db/plan.ts";
import type { Usage } from "../../src/agents/backend.ts";
import { ask, type Query } from "../../src/registry.ts";
import type { RunnerLease } from "../../src/runners/lease.ts";
import type { Assignment, AttemptOutcome } from "../../src/runners/message.ts";
import type { TranscriptEntry } from "../../src/sessions/session.ts";
import { createTask } from "../../src/tasks/commands.ts";
import { about, done, ended, person, started, type CallOptions, type TestStore } from "./stores.ts";

/** Asks a query entry as the server does, with its schemas, on a test's store. */
export const read = async <I extends z.ZodType, O extends z.ZodType>(
  store: TestStore,
  query: Query<I, O>,
  input: z.input<I>,
  { actor = person }: CallOptions = {},
): Promise<z.infer<O>> => (await ask(query, { actor, services: store.services }, input)) as z.infer<O>;

/** All items of a paged query, page by page. */
export async function readAll<Item>(
  next: (cursor: string | undefined) => Promise<{ items: Item[]; next: string | null }>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const part = await next(cursor);
    assert.ok(part.next === null || part.next !== cursor, "a page leads on to another one");
    items.push(...part.items);
    assert.ok(items.length < 10_000, "the last page comes");
    cursor = part.next ?? undefined;
  } while (cursor !== undefined);
  return items;
}

export const commit = "c".repeat(40);
export const base = "b".repeat(40);

const choices = [
  { id: "once", label: "Once", allows: true, lasting: false },
  { id: "no", label: "Reject", allows: false, lasting: false },
];

/** One project with one agent, and a runner that the test plays. */
export class Player {
  readonly store: TestStore;
  readonly project: string;
  readonly agent: string;
  readonly runner: RunnerLease;
  readonly #given = new Map<string, Assignment>();
  #permissions = 0;

  constructor(store: TestStore, project: string, agent: string, runner: RunnerLease) {
    this.store = store;
    this.project = project;
    this.agent = agent;
    this.runner = runner;
  }

  static async start(store: TestStore): Promise<Player> {
    return new Player(store, await store.project(), await store.agent(), await store.runner());
  }

  async queue(prompt = "go"): Promise<string> {
    return (await this.store.call(createTask, { project: this.project, prompt, agent: this.agent })).id;
  }

  /** Gives out what is ready; the task's assignment. */
  async assignment(task: string): Promise<Assignment> {
    for (const given of await this.store.assign(this.project, this.runner)) this.#given.set(given.task, given);
    const given = this.#given.get(task);
    assert.ok(given, `${task} is assigned`);
    return given;
  }

  /** The task runs; answers its session. */
  async begin(task: string): Promise<string> {
    const given = await this.assignment(task);
    assert.equal(await this.store.tell(started(given, this.runner)), true);
    return given.session;
  }

  async running(prompt = "go"): Promise<string> {
    const task = await this.queue(prompt);
    await this.begin(task);
    return task;
  }

  async startTurn(task: string, turn = 1): Promise<void> {
    assert.equal(await this.store.tell({ kind: "turn-started", ...(await this.#about(task)), turn, prompt: "go" }), true);
  }

  async say(task: string, entries: TranscriptEntry[], part = 1): Promise<void> {
    const turn = entries[0]?.turn ?? 1;
    assert.equal(await this.store.tell({ kind: "transcript", ...(await this.#about(task)), turn, part, entries }), true);
  }

  /** The agent asks for leave; answers the approval's id. */
  async askLeave(task: string, tool: string, action: unknown): Promise<string> {
    this.#permissions += 1;
    const asked = { permission: `unique-${this.#permissions}`, tool, action, options: choices };
    assert.equal(await this.store.tell({ kind: "permission", ...(await this.#about(task)), ...asked }), true);
    const open = await this.store.rows(sql`select id from approvals where task = ${task} and state = 'open'`);
    const ids = open.map(({ id }) => String(id)).toSorted((a, b) => Number(a.slice(2)) - Number(b.slice(2)));
    return ids.at(-1) ?? "";
  }

  async endTurn(task: string, turn: number, more: { usage?: Usage; commit?: string | null; output?: string } = {}): Promise<void> {
    const outcome = { kind: "done" as const, output: more.output ?? "ok" };
    const told = { turn, outcome, usage: more.usage ?? null, commit: more.commit ?? null };
    assert.equal(await this.store.tell({ kind: "turn-ended", ...(await this.#about(task)), ...told }), true);
  }

  async end(task: string, outcome: AttemptOutcome): Promise<void> {
    const given = await this.assignment(task);
    this.#given.delete(task);
    assert.equal(await this.store.tell(ended(given, this.runner, outcome)), true);
  }

  /** A task that changed something, from its beginning to its end; `turn` counts on in a session that goes on. */
  async change(task: string, turn = 1): Promise<void> {
    await this.begin(task);
    await this.startTurn(task, turn);
    await this.endTurn(task, turn, { commit });
    await this.end(task, done({ commit, base, files: ["a.txt"], branch: `tutti/${task}` }));
  }

  async #about(task: string): Promise<ReturnType<typeof about>> {
    return about(await this.assignment(task), this.runner);
  }
}
