import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { sql, statement, type Reader, type Statement } from "../db/plan.ts";
import { readIfThere, writeSecretFile } from "../secret-file.ts";
import type { Protocol, OpenAiApi } from "./model.ts";
import type { Provider } from "./provider.ts";

interface ProviderRow {
  name: string;
  protocol: Protocol;
  api: OpenAiApi | null;
  base_url: string;
  model: string;
  key_name: string | null;
}

const toProvider = ({ name, protocol, api, base_url: baseUrl, model, key_name: keyName }: ProviderRow): Provider => ({
  name,
  protocol,
  // Rows from before there was a choice.
  api: protocol === "openai" ? (api ?? "chat") : null,
  baseUrl,
  model,
  keyName,
  source: "store",
});

export async function getProvider(read: Reader, name: string): Promise<Provider | null> {
  const row = await read.one<ProviderRow>(sql`select name, protocol, api, base_url, model, key_name from providers where name = ${name}`);
  return row ? toProvider(row) : null;
}

/** In the order of their names. */
export async function listProviders(read: Reader): Promise<Provider[]> {
  const rows = await read.all<ProviderRow>(sql`select name, protocol, api, base_url, model, key_name from providers order by name`);
  return rows.map(toProvider);
}

export const insertProvider = ({ name, protocol, api, baseUrl, model, keyName }: Provider, now: number): Statement =>
  statement(sql`
    insert into providers (name, protocol, api, base_url, model, key_name, created_at)
    values (${name}, ${protocol}, ${api}, ${baseUrl}, ${model}, ${keyName}, ${now})`);

/** Only while it is as it was read: the key belongs to the address. */
export const updateProvider = ({ name, protocol, api, baseUrl, model, keyName }: Provider, old: Provider): Statement =>
  statement(sql`
    update providers set protocol = ${protocol}, api = ${api}, base_url = ${baseUrl}, model = ${model}, key_name = ${keyName}
     where name = ${name} and base_url = ${old.baseUrl}`);

export const deleteProvider = (name: string): Statement => statement(sql`delete from providers where name = ${name}`);

const keyFile = (home: string, keyName: string): string => join(home, "keys", keyName);

/** null when the file is gone: the provider will say that a key is missing. */
export const readKey = async (home: string, keyName: string): Promise<string | null> =>
  (await readIfThere(keyFile(home, keyName)))?.trim() || null;

/** For the server alone (0600 in a folder of 0700), on disk before the row that names it. Harmless twice. */
export async function writeKey(home: string, keyName: string, key: string): Promise<void> {
  await mkdir(join(home, "keys"), { recursive: true, mode: 0o700 });
  await writeSecretFile(keyFile(home, keyName), `${key}\n`);
}

/** Harmless when it is gone already. */
export const removeKey = (home: string, keyName: string): Promise<void> => rm(keyFile(home, keyName), { force: true });
