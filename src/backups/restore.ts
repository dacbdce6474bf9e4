import { createReadStream, existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Artifacts } from "../artifacts/artifact.ts";
import { canonical } from "../canonical.ts";
import { emptyHead, type Head, nextHead, sha256 } from "../db/chain.ts";
import { moveHighWater } from "../db/high-water.ts";
import { migrations } from "../db/migrate.ts";
import { sql } from "../db/plan.ts";
import { AppError, conflict } from "../errors.ts";
import type { Workspaces } from "../workspaces/workspace.ts";
import { type Manifest, raisedBy } from "./backup.ts";
import { readColumn, readManifest, readTable } from "./read.ts";
import { postgresTarget, sqliteTarget, type Target } from "./target.ts";
import { verifyBackup } from "./verify.ts";
import { artifactFile } from "./write.ts";

interface RestoreOptions {
  folder: string;
  /** Locked by this process. */
  home: string;
  databaseUrl: string | undefined;
  /** Milliseconds since 1970. */
  now: number;
  openArtifacts: () => Promise<Artifacts & { close(): Promise<void> }>;
  openWorkspaces: () => Promise<Workspaces>;
}

/** What was under way when the backup was made: it may have ended since, and what it did outside of the store is not known here. */
export interface Unknown {
  tasks: { id: string; state: string; title: string }[];
  runs: { id: string; state: string; flow: string }[];
  /** Notifications that were still to be sent. */
  deliveries: number;
  /** Questions that were open: answers given since are lost. */
  approvals: number;
}

export interface Restored {
  /** When the backup was made. */
  at: number;
  rows: number;
  events: number;
  artifacts: number;
  /** Named by rows, and not whole in the backup. */
  missingArtifacts: string[];
  mirrors: number;
  /** Events of the backup that the restored store does not have: 0, or the restore fails. */
  missingEvents: number;
  /** From the start of the restore to a store that a server can be started on. */
  ms: number;
  unknown: Unknown;
}

/**
 * Brings a backup into an empty home, and an empty database where one is named. The store appears last, in one step: a restore that
 * was killed leaves none, and can be done again. Throws AppError check_failed for a backup that is not sound, conflict for a home or
 * database that is not empty and for a backup of a newer Tutti.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const started = performance.now();
  const { folder, home, databaseUrl, now } = options;
  const manifest = await readManifest(folder);
  const known = migrations.filter(({ version }) => version <= manifest.schema.version);
  if (known.at(-1)?.version !== manifest.schema.version) throw newer(manifest);
  const target = databaseUrl === undefined ? sqliteTarget(join(home, "tutti.db")) : postgresTarget(home, databaseUrl);
  try {
    await requireEmpty(home, target);
    await requireSound(folder);
    await beginIn(home, folder);
    await target.begin(known);
    const missingArtifacts = await restoreArtifacts(options, manifest);
    await restoreMirrors(options, manifest);
    const rows = await loadTables(folder, manifest, target);
    const unknown = await findUnknown(target);
    await raise(target, now);
    const missingEvents = await compareHeads(manifest, target);
    await tell(target, { folder, manifest, unknown, now });
    const marked = await readMark(target);
    await target.commit();
    moveMark(target, marked);
    await rm(join(home, "restoring"), { force: true });
    return {
      at: manifest.at,
      rows,
      events: manifest.tables.find(({ name }) => name === "events")?.rows ?? 0,
      artifacts: manifest.artifacts.count + manifest.artifacts.missing.length - missingArtifacts.length,
      missingArtifacts,
      mirrors: manifest.mirrors.length,
      missingEvents,
      ms: Math.round(performance.now() - started),
      unknown,
    };
  } finally {
    await target.close();
  }
}

const newer = ({ version, schema }: Manifest): AppError =>
  conflict(
    `the backup was written by Tutti ${version} with schema version ${schema.version}`,
    `this one knows version ${migrations.at(-1)?.version}`,
    ["restore it with the version of Tutti that wrote it, or a later one"],
  );

async function requireSound(folder: string): Promise<void> {
  const { problems } = await verifyBackup(folder);
  const first = problems.find(({ area }) => area !== "artifacts");
  if (!first) return;
  throw new AppError("check_failed", `the backup ${folder} is damaged`, {
    why: problems
      .map(({ message }) => message)
      .slice(0, 5)
      .join("; "),
    fix: [`tutti verify ${folder}`, "restore another backup"],
  });
}

const filled = ["repositories", "sessions", "artifacts"];

async function requireEmpty(home: string, target: Target): Promise<void> {
  const found: string[] = [];
  if (!existsSync(join(home, "restoring"))) {
    for (const name of filled) {
      const folder = join(home, name);
      if (existsSync(folder) && (await readdir(folder)).length > 0) found.push(folder);
    }
  }
  if (!(await target.isEmpty())) found.push(target.place);
  if (found.length === 0) return;
  throw conflict(
    `there is something already: ${found.join(", ")}`,
    "a restore fills an empty home (and an empty database), and replaces nothing",
    ["tutti down", `mv ${home} ${home}.before`, "tutti restore <backup>"],
  );
}

/** Says in the home that what is in it comes from an unfinished restore, which may be done again; no server starts on it (db/open.ts). */
async function beginIn(home: string, folder: string): Promise<void> {
  const note = join(home, "restoring");
  if (existsSync(note)) for (const name of filled) await rm(join(home, name), { recursive: true, force: true });
  await writeFile(note, `${folder}\n`, { mode: 0o600 });
}

/** Answers those that the backup does not have whole: the rest of it is worth having without them. */
async function restoreArtifacts({ folder, openArtifacts }: RestoreOptions, { tables }: Manifest): Promise<string[]> {
  const artifacts = await openArtifacts();
  const missing: string[] = [];
  try {
    for await (const id of readColumn(folder, tables, "artifacts", "id")) {
      const file = join(folder, artifactFile(id));
      // Damaged bytes come under another name, which no row has: they are collected like any other leftover.
      const isWhole = existsSync(file) && (await artifacts.put(createReadStream(file) as AsyncIterable<Uint8Array>)).id === id;
      if (!isWhole) missing.push(id);
    }
    return missing;
  } finally {
    await artifacts.close();
  }
}

async function restoreMirrors({ home, folder, openWorkspaces }: RestoreOptions, { mirrors }: Manifest): Promise<void> {
  await mkdir(join(home, "repositories"), { recursive: true, mode: 0o700 });
  const workspaces = await openWorkspaces();
  for (const { project, baseBranch, file } of mirrors) {
    const bytes = createReadStream(join(folder, file)) as AsyncIterable<Uint8Array>;
    await workspaces.unbundle({ project, source: "", baseBranch }, bytes);
  }
}

async function loadTables(folder: string, { tables }: Manifest, target: Target): Promise<number> {
  let loaded = 0;
  for (const table of tables) {
    let rows = 0;
    for await (const page of readTable(folder, table)) {
      await target.insert(table.name, page.columns, page.rows);
      rows += page.rows.length;
    }
    if (rows !== table.rows) throw new AppError("check_failed", `${table.name} has ${rows} rows instead of ${table.rows}`);
    loaded += rows;
  }
  return loaded;
}

async function findUnknown(target: Target): Promise<Unknown> {
  const count = async (statement: ReturnType<typeof sql>): Promise<number> =>
    Number((await target.all<{ n: number }>(statement))[0]?.n ?? 0);
  return {
    tasks: await target.all(sql`
      select t.id, t.state, d.title from tasks t join task_details d on d.task = t.id
       where t.state not in ('done', 'failed', 'cancelled') order by t.created_at, t.id`),
    runs: await target.all(sql`select id, state, flow from runs where finished_at is null order by created_at, id`),
    deliveries: await count(sql`select count(*) as n from deliveries where state = 'queued'`),
    approvals: await count(sql`select count(*) as n from approvals where state = 'open'`),
  };
}

/**
 * Whoever still holds a lease or a number of the time after the backup is stale: epochs and counters go further than it can have come.
 * Leases are over, so what ran is lost to its runner, and goes on as after a crash: interrupted, then another attempt.
 */
async function raise(target: Target, now: number): Promise<void> {
  await target.run(sql`update runners set epoch = epoch + ${raisedBy.epochs}, holder = null, lease_until = 0`);
  await target.run(sql`update orchestrators set epoch = epoch + ${raisedBy.epochs}, holder = null, lease_until = 0`);
  await target.run(sql`update counters set next = next + ${raisedBy.numbers}`);
  await target.run(sql`update tokens set revoked_at = ${now} where kind = 'agent' and revoked_at is null`);
}

/** How many events of the manifest's streams are not there. Throws AppError check_failed when it is not none. */
async function compareHeads({ streams }: Manifest, target: Target): Promise<number> {
  const rows = await target.all<{ id: string; seq: number; head: string }>(sql`select id, seq, head from streams`);
  const found = new Map(rows.map((row) => [row.id, row]));
  const missing = streams.reduce((sum, { id, seq, head }) => {
    const there = found.get(id);
    return sum + (there?.head === head ? 0 : Math.max(1, seq - Number(there?.seq ?? 0)));
  }, 0);
  if (missing > 0) throw new AppError("check_failed", `${missing} events of the backup are not in the restored store`);
  return missing;
}

async function tell(
  target: Target,
  { folder, manifest, unknown, now }: { folder: string; manifest: Manifest; unknown: Unknown; now: number },
): Promise<void> {
  const [stored] = await target.all<Head>(sql`select seq, head from streams where id = 'instance'`);
  const data = canonical({
    backup: folder.slice(-500),
    at: manifest.at,
    tasks: unknown.tasks.length,
    runs: unknown.runs.length,
    deliveries: unknown.deliveries,
    approvals: unknown.approvals,
    first: unknown.tasks.slice(0, 20).map(({ id }) => id),
  });
  const [type, payloadHash] = ["store.restored", sha256(data)];
  const next = nextHead(stored ? { seq: Number(stored.seq), head: stored.head } : emptyHead, { stream: "instance", type }, payloadHash);
  await target.run(sql`
    insert into events (stream, seq, type, at, data, payload_hash, hash)
    values ('instance', ${next.seq}, ${type}, ${now}, ${data}, ${payloadHash}, ${next.head})`);
  await target.run(sql`
    insert into streams (id, seq, head, commits) values ('instance', ${next.seq}, ${next.head}, ${manifest.commits + 1})
      on conflict (id) do update set seq = excluded.seq, head = excluded.head, commits = excluded.commits`);
}

async function readMark(target: Target): Promise<{ commits: number; heads: Map<string, Head> }> {
  const rows = await target.all<Head & { id: string; commits: number }>(sql`select id, seq, head, commits from streams`);
  return {
    commits: rows.reduce((most, { commits }) => Math.max(most, Number(commits)), 0),
    heads: new Map(rows.map(({ id, seq, head }) => [id, { seq: Number(seq), head }])),
  };
}

function moveMark(target: Target, { commits, heads }: { commits: number; heads: Map<string, Head> }): void {
  const mark = moveHighWater({ path: target.mark, counts: target.kind === "sqlite", heads, everyMs: 0 });
  mark.note(commits, heads);
  mark.close();
}
