import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client } from "pg";
import { readPostgres, recordPostgres } from "./chaos/history.ts";
import { makeNode, type Node, plainFolders } from "./chaos/node.ts";
import { makeRandom } from "./chaos/random.ts";
import { makeWorkload, readEffects, writeAgent } from "./chaos/workload.ts";
import { agentName, finish, freePort, prepare } from "./chaos/world.ts";
import { startPostgres } from "./support/postgres.ts";
import { startRunner } from "./support/runner-process.ts";
import { root, until } from "./support/tutti.ts";

/** The next version, of which the test knows only that it adds: a column, a table, an index. */
const nextVersion = 900;
const nextMigration = `  {
    version: ${nextVersion},
    oldestServer: 3,
    statements: [
      "alter table tasks add column mood text",
      "create table moods (task text primary key, mood text not null)",
      "create index tasks_mood on tasks (mood) where mood is not null",
    ],
  },
];`;

/** A copy of the source with one migration more. */
function makeNextVersion(folder: string): string {
  const tree = join(folder, "next");
  for (const part of ["src", "test/chaos", "test/support", "package.json"]) cpSync(join(root, part), join(tree, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  const file = join(tree, "src/db/migrate.ts");
  const text = readFileSync(file, "utf8");
  const changed = text.replace(/(export const migrations: [^=]+= \[[^;]*?)\n\];/, (_all, list: string) => `${list}\n${nextMigration}`);
  assert.notEqual(changed, text, "the list of migrations was found");
  writeFileSync(file, changed);
  return tree;
}

async function schemaVersion(url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ version: string }>("select version from schema");
  await client.end();
  return Number(rows[0]?.version);
}

test("an upgrade, one server after the other under load, costs no attempt: the runner goes on with whichever server is there", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tutti-rolling-"));
  const postgres = await startPostgres();
  const servers: Node[] = [];
  let endRunner = (): void => {};
  try {
    const databaseUrl = await postgres.freshDatabase();
    const ports = [await freePort(), await freePort()];
    const serverOf = (index: number, tree: string): Node => {
      const name = index === 0 ? "one" : "two";
      const port = ports[index] ?? 0;
      const made = makeNode({
        name,
        home: join(folder, `home-${name}`),
        port,
        databaseUrl,
        canMoveClock: false,
        tree,
        env: { TUTTI_RUNNER: "none" },
      });
      servers.push(made);
      return made;
    };
    const before = [serverOf(0, root), serverOf(1, root)];
    for (const server of before) await server.start();
    const [one] = before;
    assert.ok(one);
    const runner = await startRunner({
      home: one.home,
      args: ["--capacity", "8", ...before.flatMap(({ url }) => ["--server", url])],
      env: { NODE_OPTIONS: `--import ${plainFolders()}` },
    });
    endRunner = () => void runner.child.kill("SIGKILL");
    const { program, effects } = writeAgent(folder);
    const world = { folder, nodes: before };
    const projects = await prepare(world, program, ["plain one", "plain two"]);
    await recordPostgres(databaseUrl);
    const done = (): number => new Set(readEffects(effects).map(({ key }) => key)).size;

    let share = 0.4;
    const workload = makeWorkload({
      random: makeRandom(35),
      tasks: 60,
      urls: before.map(({ url }) => url),
      token: one.token(),
      projects,
      agent: agentName,
      clients: 4,
    });
    const submitted = workload.submit(() => share);
    await until("the first work is done", () => done() >= 6);
    const tree = makeNextVersion(folder);
    const oldVersion = await schemaVersion(databaseUrl);
    for (const [index, old] of before.entries()) {
      const atWork = done();
      assert.equal(await old.stop(), 0, `server ${old.name} drained`);
      await serverOf(index, tree).start();
      share += 0.3;
      await until("more of the work is done", () => done() >= atWork + 6);
    }
    await submitted;
    const final = await finish({ nodes: servers.slice(2) }, { stuck: () => 0 }, 60_000);

    assert.deepEqual([oldVersion < nextVersion, await schemaVersion(databaseUrl)], [true, nextVersion]);
    assert.deepEqual(
      final.tasks.filter(({ state }) => state !== "done"),
      [],
    );
    assert.equal(final.tasks.length, workload.tasks);
    const attempts = (await readPostgres(databaseUrl)).filter(({ thing }) => thing === "attempt");
    assert.deepEqual(
      attempts.filter(({ attempt, after }) => attempt !== 1 || after === "failed" || after === "cancelled"),
      [],
      "every attempt is the first, and was not interrupted",
    );
    assert.deepEqual(runner.epochs().length, 1, "the runner kept its lease");
    t.diagnostic(`${final.tasks.length} tasks, ${readEffects(effects).length} effects, schema ${oldVersion} became ${nextVersion}`);
  } finally {
    endRunner();
    for (const server of servers) server.end();
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});
