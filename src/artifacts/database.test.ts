import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { Client } from "pg";
import { openPostgres } from "../db/postgres.ts";
import { startPostgres, type TestPostgres } from "../../test/support/postgres.ts";
import { artifactsSuite, pieces } from "./artifacts.suite.ts";
import { openDatabaseArtifacts } from "./database.ts";

/** One PostgreSQL for the whole file. */
const cluster: Promise<TestPostgres> = startPostgres();
after(async () => (await cluster).stop());

/** A database with our schema. */
async function newDatabase(): Promise<{ url: string; query(text: string): Promise<Record<string, unknown>[]> }> {
  const url = await (await cluster).freshDatabase();
  await (await openPostgres({ url, poolSize: 1 })).close();
  const query = async (text: string): Promise<Record<string, unknown>[]> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  return { url, query };
}

artifactsSuite("PostgreSQL", async () => {
  const { url, query } = await newDatabase();
  let movedMs = 0;
  return {
    open: (options) => Promise.resolve(openDatabaseArtifacts({ url, ...options })),
    async moveClock(ms) {
      movedMs += ms;
      await query(`create or replace function tutti_now() returns bigint language sql volatile as
        $$ select floor(extract(epoch from clock_timestamp()) * 1000)::bigint + (${movedMs})::bigint $$`);
    },
    countStored: async () => (await query("select upload from artifact_chunks union select id from artifact_uploads")).length,
  };
});

test("an artifact is chunks of 256 KB, which PostgreSQL does not try to compress", async () => {
  const { url, query } = await newDatabase();
  const artifacts = openDatabaseArtifacts({ url });
  await artifacts.put(pieces(Buffer.alloc(500_000), Buffer.alloc(100_000)));
  await artifacts.close();
  const rows = await query("select length(data) as length, pg_column_size(data) as stored from artifact_chunks order by n");
  assert.deepEqual(
    rows,
    [262_144, 262_144, 75_712].map((length) => ({ length, stored: length })),
  );
});

test("a store whose connections are all cut goes on with new ones, and the put that was under way is an error that can be retried", async () => {
  const { url, query } = await newDatabase();
  const artifacts = openDatabaseArtifacts({ url, poolSize: 1 });
  const cut = () => query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tutti artifacts'");
  async function* source(): AsyncGenerator<Uint8Array> {
    yield randomBytes(300_000);
    // While one of its statements is waited for.
    const locked = new Client({ connectionString: url });
    await locked.connect();
    await locked.query("begin; lock table artifact_chunks in access exclusive mode");
    void (async () => {
      while ((await locked.query("select 1 from pg_locks where not granted")).rowCount === 0);
      await cut();
      await locked.query("rollback");
      await locked.end();
    })();
    yield randomBytes(300_000);
  }
  await assert.rejects(artifacts.put(source()), { code: "unreachable", retryable: true });
  const { id } = await artifacts.put("after that");
  assert.equal(await artifacts.text(id), "after that");
  await artifacts.close();
  assert.deepEqual(await query("select id from artifact_uploads"), await query("select upload as id from artifact_contents"));
});
