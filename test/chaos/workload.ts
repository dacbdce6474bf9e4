import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { entries } from "../../src/commands.ts";
import { makeClient } from "../../src/entry/client.ts";
import { AppError } from "../../src/errors.ts";
import type { Effect } from "./checker.ts";
import type { Random } from "./random.ts";

/**
 * The work of a run: tasks alone, in chains and in diamonds, and flows that fan out and in, each asked for with an idempotency key by
 * clients that ask again whenever they do not know what became of their request.
 */
export interface Workload {
  /** Tasks that exist when all of it is done. */
  readonly tasks: number;
  /** What was answered: more than once for what was asked again on purpose. */
  readonly accepted: { key: string; task: string }[];
  readonly acceptedRuns: { key: string; run: string }[];
  /** What was refused for good, in words. */
  readonly refused: string[];
  /** Requests that are under way. */
  inFlight(): number;
  /** How often a client had to ask again, by what it had heard. */
  readonly retries: Map<string, number>;
  /** Resolves when everything is accepted. `share` is how much may have been asked for by now, of 1. */
  submit(share: () => number): Promise<void>;
}

export interface WorkloadOptions {
  random: Random;
  tasks: number;
  /** Where clients reach the servers, and one token for all of them: a key belongs to its token. */
  urls: string[];
  token: string;
  projects: string[];
  agent: string;
  clients: number;
}

type Shape = "single" | "chain" | "diamond" | "flow";
type Client = ReturnType<typeof makeClient<typeof entries>>;

const sizes: Record<Shape, number> = { single: 1, chain: 3, diamond: 4, flow: 5 };
const shapes: readonly Shape[] = ["single", "single", "single", "chain", "diamond", "flow"];
const answerLimitMs = 8_000;

export const flowText = (agent: string): string => `name: spread
inputs:
  key: { type: string }
  pause: { type: string }
  parts: { type: array }
steps:
  - id: part
    each: "\${{ inputs.parts }}"
    parallel: 4
    agent: ${agent}
    prompt: "\${{ inputs.key }}-\${{ item }} \${{ inputs.pause }}"
  - id: sum
    fold: "\${{ steps.part.outputs }}"
    agent: ${agent}
    prompt: "\${{ inputs.key }}-sum \${{ inputs.pause }}"
`;

export function makeWorkload(options: WorkloadOptions): Workload {
  const { random, urls, token, projects, agent } = options;
  const units = planUnits(options.tasks, random);
  const clients = urls.map((url): Client => makeClient({ url, token, entries }));
  const accepted: Workload["accepted"] = [];
  const acceptedRuns: Workload["acceptedRuns"] = [];
  const retries = new Map<string, number>();
  const refused: string[] = [];
  let inFlight = 0;
  let begun = 0;

  /** Asks until it is answered: with the same key, so that whatever became of the request before, it is done once. */
  async function ask<Answer>(call: (client: Client, signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    for (let tries = random.between(0, clients.length - 1); ; tries += 1) {
      const client = clients[tries % clients.length];
      if (!client) throw new Error("there is no server to ask");
      inFlight += 1;
      try {
        return await call(client, AbortSignal.timeout(answerLimitMs));
      } catch (error) {
        const code = error instanceof AppError ? error.code : error instanceof Error ? error.name : "unknown";
        // Refused for good: asking again would be answered the same.
        if (error instanceof AppError && !error.retryable && error.code !== "internal" && error.code !== "failed") throw error;
        retries.set(code, (retries.get(code) ?? 0) + 1);
        await pause(50 + 200 * random.next());
      } finally {
        inFlight -= 1;
      }
    }
  }

  const prompt = (key: string): string => `${key} ${pauseOf(random)}`;

  async function createTask(project: string, key: string, needs: string[]): Promise<string> {
    const input = { project, prompt: prompt(key), agent, needs };
    const create = (): Promise<{ id: string }> => ask((client, signal) => client.command("task.create", input, { key, signal }));
    const { id } = await create();
    accepted.push({ key, task: id });
    if (random.next() < 0.05) accepted.push({ key, task: (await create()).id });
    return id;
  }

  async function createUnit(shape: Shape, key: string): Promise<void> {
    const project = random.pick(projects);
    switch (shape) {
      case "single":
        await createTask(project, key, []);
        return;
      case "chain": {
        let last: string[] = [];
        for (const part of ["a", "b", "c"]) last = [await createTask(project, `${key}-${part}`, last)];
        return;
      }
      case "diamond": {
        const top = await createTask(project, `${key}-top`, []);
        const sides = await Promise.all(["left", "right"].map((side) => createTask(project, `${key}-${side}`, [top])));
        await createTask(project, `${key}-end`, sides);
        return;
      }
      case "flow": {
        const inputs = { key, pause: pauseOf(random), parts: ["1", "2", "3", "4"] };
        const input = { project, source: flowText(agent), inputs };
        const { id } = await ask((client, signal) => client.command("run.create", input, { key, signal }));
        acceptedRuns.push({ key, run: id });
      }
    }
  }

  return {
    tasks: units.reduce((sum, shape) => sum + sizes[shape], 0),
    accepted,
    acceptedRuns,
    retries,
    refused,
    inFlight: () => inFlight,
    async submit(share) {
      const work = async (): Promise<void> => {
        for (let at = begun++; at < units.length; at = begun++) {
          while (at / units.length > share()) await pause(20);
          await createUnit(units[at] ?? "single", `key-${at}`).catch((error: unknown) => refused.push(`key-${at}: ${String(error)}`));
        }
      };
      await Promise.all(Array.from({ length: options.clients }, work));
    },
  };
}

/** Most work is short, some takes long enough to be hit by several faults. Seconds, as sleep(1) takes them. */
const pauseOf = (random: Random): string => (random.next() < 0.03 ? "2" : (random.next() * 0.3).toFixed(2));

function planUnits(tasks: number, random: Random): Shape[] {
  const units: Shape[] = [];
  for (let left = tasks; left > 0;) {
    const wanted = random.pick(shapes);
    const shape = sizes[wanted] <= left ? wanted : "single";
    units.push(shape);
    left -= sizes[shape];
  }
  return units;
}

/**
 * The agent: a shell script that does one thing outside of the database (a line in a file, before and not after it has taken its time),
 * and answers with the number under which it did it.
 */
export function writeAgent(folder: string): { program: string; effects: string } {
  const [program, effects] = [join(folder, "agent.sh"), join(folder, "effects")];
  const text = `#!/bin/sh
while read -r key pause rest || [ -n "$key" ]; do
  case "$key" in key-*) break ;; esac
done
read -r nonce < /proc/sys/kernel/random/uuid
echo "$key $nonce" >> ${effects}
sleep "$pause"
echo "$key $nonce"
`;
  writeFileSync(program, text, { mode: 0o755 });
  appendFileSync(effects, "");
  return { program, effects };
}

export function readEffects(file: string): Effect[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => {
    const [key = "", nonce = ""] = line.split(" ");
    return { key, nonce };
  });
}
