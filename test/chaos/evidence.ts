import type { entries } from "../../src/commands.ts";
import { firstBrokenEvent } from "../../src/db/chain.ts";
import { openDb } from "../../src/db/open.ts";
import { sql } from "../../src/db/plan.ts";
import type { makeClient } from "../../src/entry/client.ts";
import type { FinalRun, FinalTask } from "./checker.ts";

type Client = ReturnType<typeof makeClient<typeof entries>>;

const atOnce = 12;

/** How everything ended, asked as anybody would. */
export async function readFinal(client: Client): Promise<{ tasks: FinalTask[]; runs: FinalRun[] }> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ;) {
    const { items, next } = await client.query("task.list", { limit: 500, cursor });
    ids.push(...items.map(({ id }) => id));
    if (next === null) break;
    cursor = next;
  }
  const details = await inTurns(ids, (id) => client.query("task.get", { id }));
  const tasks = details.map((task): FinalTask & { run: string | null; step: string | null } => {
    const { id, state, run, step, needs, spec, result } = task;
    const reason = [task.reason, task.message].filter(Boolean).join(": ") || null;
    const [key = ""] = spec.kind === "agent" ? spec.prompt.split(" ") : [];
    const output = typeof result?.output === "string" ? result.output : "";
    return { id, state, reason, run, step, key, needs, nonce: output.split(" ")[1] ?? null };
  });
  // The sum of a flow needs all parts of it.
  const parts = Map.groupBy(tasks, ({ run, step }) => (step?.startsWith("part") ? run : null));
  const whole = tasks.map((task) => (task.step === "sum" ? { ...task, needs: (parts.get(task.run) ?? []).map(({ id }) => id) } : task));
  return { tasks: whole, runs: await readRuns(client) };
}

async function readRuns(client: Client): Promise<FinalRun[]> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ;) {
    const { items, next } = await client.query("run.list", { limit: 500, cursor });
    ids.push(...items.map(({ id }) => id));
    if (next === null) break;
    cursor = next;
  }
  const runs = await inTurns(ids, (id) => client.query("run.get", { id }));
  return runs.map(({ id, state, reason, inputs }) => ({ id, state, reason, key: String(inputs["key"]) }));
}

async function inTurns<Item, Answer>(items: readonly Item[], ask: (item: Item) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < items.length; at += atOnce) answers.push(...(await Promise.all(items.slice(at, at + atOnce).map(ask))));
  return answers;
}

/** Follows every stream's chain, with the product's own store opened by nobody else. */
export async function findBroken(home: string, databaseUrl: string | undefined): Promise<{ stream: string; seq: number }[]> {
  const db = await openDb({ home, databaseUrl, crashAt: null });
  try {
    const streams = await db.read.all<{ id: string }>(sql`select id from streams order by id`);
    const broken: { stream: string; seq: number }[] = [];
    for (const { id } of streams) {
      const seq = await firstBrokenEvent(db.read, id);
      if (seq !== null) broken.push({ stream: id, seq });
    }
    return broken;
  } finally {
    await db.close();
  }
}
