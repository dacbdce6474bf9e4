import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { installPeer } from "./install.ts";
import type { Shared } from "./machine.ts";
import { peerNames, type Options, type Store } from "./options.ts";
import type { Measured, Peer, PeerRow, ServerChoice, Work } from "./peer.ts";
import type { Order } from "./peers/child.ts";
import { runForJson } from "./run-child.ts";
import { makeFolder, type Medium, type RunningServer } from "./servers/medium.ts";
import { startRedis } from "./servers/redis.ts";
import { startRestate } from "./servers/restate.ts";

/** Who is measured in a row: Tutti on a store, or a peer with one of its servers. */
export interface Contender {
  name: string;
  /** What it is, its versions, durability and settings. */
  about: string;
  /** One round. Throws when it could not be measured. */
  run(): Promise<Measured>;
}

export interface Round {
  options: Options;
  shared: Shared;
  signal: AbortSignal;
}

const limitMs = 300_000;

/** A program of bench/ours (or of bench/ itself), which prints the figures of one round as JSON. */
export interface OurProgram {
  /** Below bench/. */
  program: string;
  store: Store;
  medium: Medium;
  words: readonly string[];
  /** Where its data lies already; otherwise an empty place is made and thrown away. */
  place?: OurPlace;
  /** How its JSON is read. */
  read(json: Record<string, number>): Measured;
  timeoutMs?: number;
}

export interface OurPlace {
  home: string;
  /** Of PostgreSQL; null on SQLite. */
  url: string | null;
}

export const isThere = (program: string): boolean => existsSync(join(import.meta.dirname, program));

/** An empty home on the medium, and an empty database where the store is PostgreSQL. */
export async function makePlace(store: Store, medium: Medium, shared: Shared): Promise<OurPlace> {
  const home = await makeFolder(medium, "ours");
  return { home, url: store === "postgres" ? await (await shared.postgres(medium)).freshDatabase() : null };
}

export async function runOurs({ shared, signal }: Round, ours: OurProgram): Promise<Measured> {
  const place = ours.place ?? (await makePlace(ours.store, ours.medium, shared));
  try {
    const where = ["--store", ours.store, "--home", place.home, ...(place.url === null ? [] : ["--url", place.url])];
    const json = await runForJson({
      command: [
        process.execPath,
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, ours.program),
        ...where,
        ...ours.words,
      ],
      // The process that owns the store is the one with the slow disk: PostgreSQL's server, or with SQLite our own.
      medium: ours.store === "sqlite" ? ours.medium : "tmpfs",
      timeoutMs: ours.timeoutMs ?? limitMs,
      signal,
    });
    return ours.read(json as Record<string, number>);
  } finally {
    if (!ours.place) await rm(place.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

/** The peers that have this row, each with each of its servers; and for those that cannot be had here, why. */
export async function peersOf(
  round: Round,
  row: PeerRow,
  medium: Medium,
  work: Work,
): Promise<{ contenders: Contender[]; missing: Record<string, string> }> {
  const contenders: Contender[] = [];
  const missing: Record<string, string> = {};
  for (const file of peerNames) {
    if (round.options.onlyPeers && !round.options.onlyPeers.includes(file)) continue;
    const { peer } = (await import(`./peers/${file}.ts`)) as { peer: Peer };
    if (!peer.rows[row]) continue;
    const installed = installPeer(peer);
    if (installed.kind === "missing") {
      missing[peer.name] = installed.why;
      continue;
    }
    for (const choice of peer.servers)
      contenders.push(contenderOf(round, { file, peer, packages: installed.folder, choice, row, medium, work }));
  }
  return { contenders, missing };
}

interface PeerRound {
  file: string;
  peer: Peer;
  packages: string;
  choice: ServerChoice;
  row: PeerRow;
  medium: Medium;
  work: Work;
}

function contenderOf(round: Round, of: PeerRound): Contender {
  const { peer, choice } = of;
  const versions = Object.entries(peer.packages).map(([name, version]) => `${name} ${version}`);
  const contender: Contender = {
    name: choice.kind === "redis" ? `${peer.name} (${choice.appendfsync})` : peer.name,
    about: [versions.join(", "), peer.settings, peer.durability].join("; "),
    run: () =>
      runPeer(round, of, (server) => void (contender.about = [versions.join(", "), server, peer.settings, peer.durability].join("; "))),
  };
  return contender;
}

/** One round: a server of its own (PostgreSQL: a database of its own), an empty folder, a process. */
async function runPeer({ shared, signal }: Round, of: PeerRound, onServer: (about: string) => void): Promise<Measured> {
  const { file, packages, choice, row, medium, work } = of;
  const folder = await makeFolder(medium, file);
  const server = await openServer(choice, medium, packages, shared);
  try {
    if (server) onServer(server.about);
    const order: Order = {
      peer: file,
      row,
      url: server?.url ?? "",
      serverPid: choice.kind === "postgres" ? null : (server?.pid ?? null),
      folder,
      packages,
      work,
    };
    const measured = await runForJson({
      command: [
        process.execPath,
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "peers", "child.ts"),
        JSON.stringify(order),
      ],
      medium: choice.kind === "none" ? medium : "tmpfs",
      timeoutMs: limitMs,
      signal,
    });
    return measured as Measured;
  } finally {
    await server?.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

async function openServer(choice: ServerChoice, medium: Medium, packages: string, shared: Shared): Promise<RunningServer | null> {
  switch (choice.kind) {
    case "redis":
      return startRedis(medium, choice.appendfsync);
    case "restate":
      return startRestate(medium, packages);
    case "postgres": {
      const cluster = await shared.postgres(medium);
      // The cluster serves the next rounds, too.
      return { ...cluster, url: await cluster.freshDatabase(), stop: async () => {} };
    }
    case "none":
      return null;
  }
}
