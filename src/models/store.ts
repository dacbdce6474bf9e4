import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { sql, statement, type Reader, type Statement } from "../db/plan.ts";
import { readIfThere, writeSecretFile } from "../secret-file.ts";
import type { Provider } from "./provider.ts";

interface ProviderRow {
  name: string;
  base_url: string;
  model: string;
  key_name: string | null;
}

const toProvider = (row: ProviderRow): Provider => ({ name: row.name, baseUrl: row.base_url, model: row.model, keyName: row.key_name });

export async function getProvider(read: Reader, name: string): Promise<Provider | null> {
  const row = await read.one<ProviderRow>(sql`select name, base_url, model, key_name from providers where name = ${name}`);
  return row ? toProvider(row) : null;
}

/** In the order of their names, behind `after`. */
export async function listProviders(read: Reader, { after, limit }: { after: string; limit: number }): Promise<Provider[]> {
  const rows = await read.all<ProviderRow>(sql`
    select name, base_url, model, key_name from providers where name > ${after} order by name limit ${limit}`);
  return rows.map(toProvider);
}

export async function listProviderNames(read: Reader): Promise<string[]> {
  return (await read.all<{ name: string }>(sql`select name from providers order by name`)).map(({ name }) => name);
}

export const insertProvider = ({ name, baseUrl, model, keyName }: Provider, now: number): Statement =>
  statement(sql`
    insert into providers (name, base_url, model, key_name, created_at) values (${name}, ${baseUrl}, ${model}, ${keyName}, ${now})`);

/** Only while it is as it was read: the key belongs to the address. */
export const updateProvider = ({ name, baseUrl, model, keyName }: Provider, old: Provider): Statement =>
  statement(sql`
    update providers set base_url = ${baseUrl}, model = ${model}, key_name = ${keyName}
     where name = ${name} and base_url = ${old.baseUrl}`);

export const deleteProvider = (name: string): Statement => statement(sql`delete from providers where name = ${name}`);

/** A provider as the broker needs it, key and all; null when it is not set up. For the server's own use: the answer goes to no caller. */
export async function findProvider(
  read: Reader,
  home: string,
  name: string,
): Promise<{ baseUrl: string; key: string | null; model: string } | null> {
  const provider = await getProvider(read, name);
  if (!provider) return null;
  return {
    baseUrl: provider.baseUrl,
    model: provider.model,
    key: provider.keyName === null ? null : await readKey(home, provider.keyName),
  };
}

const keyFile = (home: string, keyName: string): string => join(home, "keys", keyName);

/** null when the file is gone: the provider will say that a key is missing. */
const readKey = async (home: string, keyName: string): Promise<string | null> =>
  (await readIfThere(keyFile(home, keyName)))?.trim() || null;

/** For the server alone (0600 in a folder of 0700), on disk before the row that names it. Harmless twice. */
export async function writeKey(home: string, keyName: string, key: string): Promise<void> {
  await mkdir(join(home, "keys"), { recursive: true, mode: 0o700 });
  await writeSecretFile(keyFile(home, keyName), `${key}\n`);
}

/** Harmless when it is gone already. */
export const removeKey = (home: string, keyName: string): Promise<void> => rm(keyFile(home, keyName), { force: true });
