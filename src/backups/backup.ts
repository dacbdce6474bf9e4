import { z } from "zod";

/**
 * A backup is a folder: one consistent snapshot of every table as compressed lines of JSON, the artifacts that rows name, a bundle of
 * each project's mirror, and `manifest.json`, which is written last and has the hash of every file (its own is in
 * `manifest.sha256`). It says nothing in the words of one database, so that it can be restored into SQLite or PostgreSQL alike.
 */
const File = z.object({
  file: z.string().regex(/^[\w.-]+(\/[\w.-]+)*$/, "is no path inside of the backup"),
  bytes: z.int(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export const Manifest = z.object({
  format: z.literal(1),
  /** Of Tutti, when it was written. */
  version: z.string(),
  at: z.int().describe("when the snapshot was taken, by the store's clock"),
  store: z.enum(["sqlite", "postgres"]),
  schema: z.object({ version: z.int(), oldestServer: z.int() }),
  commits: z.int().describe("transactions of the store, as its high-water mark counts them; 0 on PostgreSQL"),
  tables: z.array(File.extend({ name: z.string().regex(/^[a-z_]+$/), rows: z.int() })),
  streams: z.array(z.object({ id: z.string(), seq: z.int(), head: z.string() })),
  artifacts: z.object({ count: z.int(), bytes: z.int(), missing: z.array(z.string()) }),
  mirrors: z.array(File.extend({ project: z.string(), baseBranch: z.string() })),
  notIncluded: z.array(z.string()),
});
export type Manifest = z.infer<typeof Manifest>;
export type TableFile = Manifest["tables"][number];

/** What `backup.create` answers. */
export const Backup = z.object({
  path: z.string(),
  at: z.int(),
  rows: z.int(),
  events: z.int(),
  artifacts: z.int(),
  mirrors: z.int(),
  bytes: z.int().describe("of all files"),
  ms: z.int().describe("how long it took"),
  notIncluded: z.array(z.string()),
});
export type Backup = z.infer<typeof Backup>;

/** Something that a verification found. */
export const Damage = z.object({
  area: z.enum(["manifest", "files", "store", "mark", "events", "tasks", "artifacts", "mirrors"]),
  message: z.string(),
});
export type Damage = z.infer<typeof Damage>;

export const Verification = z.object({
  what: z.string().describe("the backup's folder, or the store"),
  checked: z.record(z.string(), z.int()).describe("how many of each were looked at"),
  problems: z.array(Damage).describe("at most 100 of each area"),
  ms: z.int(),
});
export type Verification = z.infer<typeof Verification>;

/** Tables that are no part of a snapshot: the schema stands in the manifest, and the artifacts' bytes are files. */
export const leftOut: readonly string[] = ["schema", "artifact_uploads", "artifact_chunks", "artifact_contents"];

/** Said in the manifest and by the command: a backup is no full copy of a home, on purpose. */
export const notIncluded: readonly string[] = [
  "keys of providers and secrets of channels ($TUTTI_HOME/keys), and the texts of tokens: only their hashes are in it",
  "sessions' clones and homes: each session's newest snapshot is in its mirror, the turn that is under way is not",
  "the people's own repositories",
  "settings of the environment and the log",
];

/** `2026-11-21T10-45-00Z`: sorts by time and is a name on every file system. */
export const folderName = (at: number): string => new Date(at).toISOString().replaceAll(":", "-").replace(/\.\d+/, "");

/** A value as a table's line holds it. Bytes, which JSON does not have, as an object; no text is one. */
export type Cell = string | number | null | { bytes: string };
export type Value = string | number | null | Uint8Array;

export const toCell = (value: Value): Cell => (value instanceof Uint8Array ? { bytes: Buffer.from(value).toString("base64") } : value);

export const fromCell = (cell: Cell): Value =>
  typeof cell === "object" && cell !== null ? new Uint8Array(Buffer.from(cell.bytes, "base64")) : cell;

/**
 * By how much a restore raises what must never be given out twice. Leases of the time after the backup have higher epochs and numbers
 * than the backup knows; a million takeovers and a thousand new tasks are more than anybody has had between two backups.
 */
export const raisedBy = { epochs: 1_000_000, numbers: 1_000 } as const;
