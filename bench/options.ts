import { parseArgs } from "node:util";
import { mediums, type Medium } from "./servers/medium.ts";

export type Store = "sqlite" | "postgres";

export const rowNames = ["queue", "queue-slow", "runs", "latency", "archive", "agents", "start", "sse", "simulator"] as const;
export type RowName = (typeof rowNames)[number];

/** The files of peers/. */
export const peerNames = ["bullmq", "graphile-worker", "pg-boss", "dbos", "restate", "langgraph", "mastra"] as const;
export type PeerName = (typeof peerNames)[number];

export interface Options {
  rows: RowName[];
  stores: Store[];
  medium: Medium;
  /** Whether the peers are measured, too. */
  peers: boolean;
  /** Only these; null: all. */
  onlyPeers: PeerName[] | null;
  rounds: number;
  tasks: number;
  runs: number;
  /** Of `latency`. */
  seconds: number;
  /** Of `agents`. */
  minutes: number;
  /** Finished tasks of `archive`. */
  archived: number;
  json: boolean;
  docs: boolean;
  installOnly: boolean;
}

export const usage = `npm run bench -- [--peers | --peers=bullmq,dbos] [--store sqlite|postgres] [--rows ${rowNames.join(",")}]
                 [--rounds 3] [--tasks 20000] [--runs 2000] [--seconds 10] [--minutes 10] [--archived 1000000]
                 [--medium tmpfs|disk|slow] [--json] [--docs] [--install]`;

/** What was asked for cannot be understood; the message says what can be. */
export class UsageError extends Error {}

/** Throws UsageError. */
export function readOptions(words: readonly string[]): Options {
  const values = readWords(words);
  return {
    rows: listOf("--rows", values.rows ?? rowNames.filter((name) => name !== "agents" && name !== "archive").join(), rowNames),
    stores: listOf("--store", values.store ?? "sqlite,postgres", ["sqlite", "postgres"]),
    medium: listOf("--medium", values.medium ?? "tmpfs", mediums)[0] ?? "tmpfs",
    peers: values.peers !== undefined || values.install === true,
    onlyPeers: values.peers === undefined || values.peers === "all" ? null : listOf("--peers", values.peers, peerNames),
    rounds: numberOf("--rounds", values.rounds, 3),
    tasks: numberOf("--tasks", values.tasks, 20_000),
    runs: numberOf("--runs", values.runs, 2_000),
    seconds: numberOf("--seconds", values.seconds, 10),
    minutes: numberOf("--minutes", values.minutes, 10),
    archived: numberOf("--archived", values.archived, 1_000_000),
    json: values.json ?? false,
    docs: values.docs ?? false,
    installOnly: values.install ?? false,
  };
}

function readWords(words: readonly string[]) {
  try {
    // `--peers` alone means all of them, which parseArgs cannot say.
    const args = words.map((word) => (word === "--peers" ? "--peers=all" : word));
    return parseArgs({ args, options: known }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

const known = {
  peers: { type: "string" },
  store: { type: "string" },
  rows: { type: "string" },
  medium: { type: "string" },
  rounds: { type: "string" },
  tasks: { type: "string" },
  runs: { type: "string" },
  seconds: { type: "string" },
  minutes: { type: "string" },
  archived: { type: "string" },
  json: { type: "boolean" },
  docs: { type: "boolean" },
  install: { type: "boolean" },
} as const;

function listOf<Name extends string>(option: string, text: string, known: readonly Name[]): Name[] {
  const names = text.split(",");
  const unknown = names.find((name) => !known.some((one) => one === name));
  if (unknown !== undefined) throw new UsageError(`${option}: there is no "${unknown}"\n${usage}`);
  return known.filter((name) => names.includes(name));
}

function numberOf(option: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!(value > 0)) throw new UsageError(`${option}: "${text}" is no number above 0\n${usage}`);
  return value;
}
