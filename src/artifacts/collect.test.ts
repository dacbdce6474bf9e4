import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after } from "node:test";
import { render, sql, statement } from "../db/plan.ts";
import { onBothStores, waitsForLock, type TestStore } from "../../test/support/stores.ts";
import { type ArtifactStore, largeBytes, unreferencedMs } from "./artifact.ts";
import { collectArtifacts } from "./collect.ts";
import { openDatabaseArtifacts } from "./database.ts";
import { openFileArtifacts } from "./files.ts";
import { keepResult } from "./keep.ts";
import { insertUse, isKnown, listReferenced, nameArtifact, referencingColumns, sessionBytes } from "./store.ts";

const opened: ArtifactStore[] = [];
after(() => Promise.all(opened.map((artifacts) => artifacts.close())));
const places = new Map<TestStore, ArtifactStore>();

/** The artifacts that a server with this store has. */
async function artifactsOf(store: TestStore): Promise<ArtifactStore> {
  const found = places.get(store);
  if (found) return found;
  const { home, clock } = store.services;
  const made =
    store.kind === "sqlite"
      ? await openFileArtifacts(home, { now: clock.now })
      : openDatabaseArtifacts({
          url: await store.outside(
            async (client) => `postgres://${client.user}:${client.password}@${client.host}:${client.port}/${client.database}`,
          ),
        });
  places.set(store, made);
  opened.push(made);
  return made;
}

/** A plan that is in conflict fails the test. */
const use = (store: TestStore, session: string, artifact: { id: string; size: number }): Promise<void> =>
  store.write({ statements: [nameArtifact(artifact, store.services.clock.now()), insertUse(session, artifact.id)], events: [] });

const done = (output: unknown) => ({
  kind: "done" as const,
  output,
  commit: "c1",
  base: null,
  files: ["a.txt"],
  branch: null,
  note: null,
  verified: null,
});

onBothStores((rule, kind) => {
  rule("what nothing references goes after 24 hours with its row, and what a result or a transcript names stays", async (store) => {
    const { db } = store;
    const artifacts = await artifactsOf(store);
    const [result, transcript, dropped, orphan] = await Promise.all(
      ["result", "transcript", "dropped", "orphan"].map((text) => artifacts.put(text)),
    );
    assert.ok(result && transcript && dropped && orphan);
    const session = store.fresh("session");
    await use(store, session, result);
    await use(store, session, dropped);
    await store.write({
      statements: [
        nameArtifact(transcript, 1),
        statement(sql`
          insert into turns (session, turn, attempt, state, prompt, transcript, started_at)
          values (${session}, 1, 1, 'done', 'go', ${transcript.id}, 1)`),
        statement(sql`delete from artifact_uses where session = ${session} and artifact = ${dropped.id}`),
      ],
      events: [],
    });
    assert.equal((await collectArtifacts({ db, artifacts })).removed, 0);
    await store.moveClock(unreferencedMs + 1000);
    assert.deepEqual(await collectArtifacts({ db, artifacts }), { removed: 2, bytes: 13, leftovers: 0 });
    for (const { id } of [dropped, orphan]) await assert.rejects(artifacts.size(id), { code: "not_found" });
    assert.equal(await artifacts.text(result.id), "result");
    assert.equal(await artifacts.text(transcript.id), "transcript");
    const rows = await store.rows(sql`select id from artifacts where id in (${result.id}, ${transcript.id}, ${dropped.id}, ${orphan.id})`);
    assert.deepEqual(new Set(rows.map(({ id }) => id)), new Set([result.id, transcript.id]));
  });

  rule("an artifact that is put again while it is being collected survives", async (store) => {
    const { db } = store;
    const artifacts = await artifactsOf(store);
    const { id, size } = await artifacts.put("collected and put");
    await store.moveClock(unreferencedMs + 1000);
    // Between the moment when it was found unreferenced and the moment when its bytes go.
    const slow: ArtifactStore = {
      ...artifacts,
      async remove(each, ageMs) {
        if (each === id) await artifacts.put("collected and put");
        return artifacts.remove(each, ageMs);
      },
    };
    await collectArtifacts({ db, artifacts: slow });
    await use(store, store.fresh("session"), { id, size });
    assert.equal(await artifacts.text(id), "collected and put");
    assert.deepEqual(await listReferenced(db.read, [id]), new Set([id]));
  });

  rule("a row that names an artifact just before its row would go keeps both", async (store) => {
    const { db } = store;
    const artifacts = await artifactsOf(store);
    const session = store.fresh("session");
    const kept = await artifacts.put("named in time");
    await store.write({ statements: [nameArtifact(kept, 1)], events: [] });
    await store.moveClock(unreferencedMs + 1000);
    const late: typeof db = {
      ...db,
      async commit(plan) {
        await store.write({ statements: [insertUse(session, kept.id)], events: [] });
        return db.commit(plan);
      },
    };
    await collectArtifacts({ db: late, artifacts });
    assert.equal(await artifacts.text(kept.id), "named in time");
    assert.equal(await sessionBytes(db.read, session, ""), kept.size);
  });

  if (kind === "postgres")
    rule("a plan that names an artifact and is not committed yet is waited for, and then the artifact stays", async (store) => {
      const { db } = store;
      const artifacts = await artifactsOf(store);
      const kept = await artifacts.put("named by a plan under way");
      await store.write({ statements: [nameArtifact(kept, 1)], events: [] });
      await store.moveClock(unreferencedMs + 1000);
      await store.outside(async (client) => {
        const plan = [nameArtifact(kept, store.services.clock.now()), insertUse(store.fresh("session"), kept.id)];
        await client.query("begin");
        for (const each of plan) {
          const { text, values } = render(each.sql, "postgres");
          await client.query(text, values);
        }
        const collecting = collectArtifacts({ db, artifacts });
        assert.ok(await waitsForLock(client, collecting));
        await client.query("commit");
        await collecting;
      });
      assert.equal(await artifacts.text(kept.id), "named by a plan under way");
      assert.ok(await isKnown(db.read, kept.id));
    });

  rule("control: without the age at the last moment, what is put again would be gone", async (store) => {
    const artifacts = await artifactsOf(store);
    const { id } = await artifacts.put("no age");
    await store.moveClock(unreferencedMs + 1000);
    const ageless: ArtifactStore = {
      ...artifacts,
      async remove(each) {
        if (each === id) await artifacts.put("no age");
        return artifacts.remove(each, -1000);
      },
    };
    await collectArtifacts({ db: store.db, artifacts: ageless });
    await assert.rejects(artifacts.size(id), { code: "not_found" });
  });

  rule("a result up to 256 KB stays in its row, a larger one becomes a reference with its beginning, text or JSON", async (store) => {
    const { db } = store;
    const artifacts = await artifactsOf(store);
    const session = store.fresh("session");
    const keep = (output: unknown) => keepResult({ artifacts, read: db.read }, { session, outcome: done(output) }, 1);
    const small = "x".repeat(largeBytes);
    for (const output of [null, "", small, { list: [1, 2] }, 7]) {
      assert.deepEqual(await keep(output), { outcome: done(output), statements: [] });
    }
    const text = `ä${small}`;
    const kept = await keep(text);
    assert.ok(kept.outcome.kind === "done");
    const { $artifact: id, ...reference } = kept.outcome.output as Record<string, unknown>;
    assert.deepEqual(reference, { size: largeBytes + 2, type: "text", preview: `ä${"x".repeat(4094)}` });
    assert.equal(await artifacts.text(String(id)), text);
    await store.write({ statements: kept.statements, events: [] });
    assert.equal(await sessionBytes(db.read, session, ""), largeBytes + 2);
    const list = Array.from({ length: 60_000 }, (_, n) => n);
    const json = await keep({ list });
    assert.ok(json.outcome.kind === "done");
    const made = json.outcome.output as Record<string, unknown>;
    assert.equal(made["type"], "json");
    assert.deepEqual(JSON.parse(await artifacts.text(String(made["$artifact"]))), { list });
    // What a runner has made already is not made again.
    assert.deepEqual(((await keep(made)).outcome as { output: unknown }).output, made);
  });

  rule("a session's artifacts count together, each once, and a result over the limit fails with both figures", async (store) => {
    const { db } = store;
    const artifacts = await artifactsOf(store);
    const session = store.fresh("session");
    const text = (seed: string) => seed.repeat(300_000);
    const keep = (output: unknown) =>
      keepResult({ artifacts, read: db.read, maxSessionBytes: 600_000 }, { session, outcome: done(output) }, 1);
    for (const output of [text("a"), text("b"), text("a")]) {
      const { outcome, statements } = await keep(output);
      assert.equal(outcome.kind, "done");
      await store.write({ statements, events: [] });
    }
    assert.equal(await sessionBytes(db.read, session, ""), 600_000);
    const { outcome, statements } = await keep(text("c"));
    assert.ok(outcome.kind === "failed");
    assert.match(outcome.message, /900000 bytes.*600000 bytes/);
    assert.equal(outcome.commit, "c1", "the work itself is kept");
    assert.deepEqual(statements, []);
    assert.equal(await sessionBytes(db.read, store.fresh("session"), ""), 0, "other sessions are not concerned");
  });

  rule("every column that is called after what it holds, an artifact or a transcript, is known to the collector", async (store) => {
    const columns = await store.rows(
      store.kind === "sqlite"
        ? sql`select m.name as place, c.name as name from sqlite_master m join pragma_table_info(m.name) c on 1 = 1 where m.type = 'table'`
        : sql`select table_name as place, column_name as name from information_schema.columns where table_schema = 'public'`,
    );
    const called = columns
      .filter(({ name }) => /artifact|transcript/.test(String(name)))
      .map(({ place, name }) => `${String(place)}.${String(name)}`);
    assert.deepEqual(new Set(called), new Set(referencingColumns.map(({ table, column }) => `${table}.${column}`)));
  });

  rule("many artifacts are collected page by page", async (store) => {
    const artifacts = await artifactsOf(store);
    const many = 1_100;
    for (let n = 0; n < many; n += 100) await Promise.all(Array.from({ length: 100 }, () => artifacts.put(randomBytes(8))));
    await store.moveClock(unreferencedMs + 1000);
    assert.ok((await collectArtifacts({ db: store.db, artifacts })).removed >= many);
    assert.equal((await artifacts.listOlderThan(0, { after: null, limit: 5000 })).length < 20, true);
  });
});
