import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import type { Backup } from "../../../backups/backup.ts";
import { connect } from "../connect.ts";
import { note, print, printJson } from "../output.ts";

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Asks the server for a backup of everything. `to` is a folder of this machine, which must be the server's own. */
export async function backup({ to }: { to?: string }, json: boolean): Promise<void> {
  const { client } = await connect();
  const input = to === undefined ? {} : { to: resolve(to) };
  const made: Backup = await client.command("backup.create", input, { key: randomUUID() });
  if (json) return printJson(made);
  print(made.path);
  note(
    `${made.rows} rows, ${made.events} events, ${made.artifacts} artifacts, ${made.mirrors} mirrors: ${megabytes(made.bytes)} in ${seconds(made.ms)}`,
  );
  for (const line of made.notIncluded) note(`not in it: ${line}`);
  note(`bring it back into an empty home: tutti restore ${made.path}`);
}
