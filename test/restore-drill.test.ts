import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { Backup, Verification } from "../src/backups/backup.ts";
import type { Restored } from "../src/backups/restore.ts";
import { gunzipSync } from "node:zlib";
import { startPostgres } from "./support/postgres.ts";
import { addAgent, addProject, done, fileOfRunning, give, shellAgent } from "./support/work.ts";
import { bareEnvironment, git, makeFolder, makeRepository, root, spawnTutti, startTutti, type Tutti } from "./support/tutti.ts";

/** The drill: a server that works is backed up, its machine is lost, and another home takes its work over. Then its disk loses the newest writes. */
const folder = makeFolder();
const second = join(folder.path, "second");
let tutti: Tutti | null = null;
after(async () => {
  await tutti?.stop();
  folder.remove();
});

interface Called {
  code: number;
  stdout: string;
  stderr: string;
}

function call(home: string, ...words: string[]): Called {
  try {
    const stdout = execFileSync(process.execPath, [join(root, "src/entry/cli/main.ts"), ...words], {
      env: bareEnvironment(home),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { code: 0, stdout, stderr: "" };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { code: status, stdout, stderr };
  }
}

function json<T>(home: string, ...words: string[]): T {
  const { code, stdout, stderr } = call(home, ...words, "--json");
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout) as T;
}

async function kill(server: Tutti): Promise<void> {
  process.kill(server.pid, "SIGKILL");
  await server.exited;
}

const repository = join(folder.path, "repository");
let project = "";
let finished = "";
let working = "";
let lost = "";
let backup: Backup;

suite("backup, loss, restore", () => {
  test("a server that is at work is backed up and verified, and goes on", async () => {
    tutti = await startTutti({ home: folder.home });
    await addAgent(tutti, shellAgent);
    project = await addProject(tutti, makeRepository(repository, { "a.txt": "a\n" }));
    finished = (await done(tutti, (await give(tutti, project, "echo the result > result.txt")).id)).id;
    working = (await give(tutti, project, "echo begun > work.txt; until [ -e go ]; do sleep 0.05; done; rm go; echo ended >> work.txt")).id;
    await fileOfRunning(tutti, working, "work.txt");

    backup = json<Backup>(folder.home, "backup");
    assert.ok(backup.path.startsWith(join(folder.home, "backups")));
    assert.ok(backup.events > 0 && backup.mirrors === 1 && backup.rows > backup.events);
    assert.deepEqual(json<Verification>(folder.home, "verify", backup.path).problems, []);
    const store = json<Verification>(folder.home, "verify");
    assert.deepEqual(store.problems, []);
    assert.ok((store.checked["tasks"] ?? 0) >= 2 && (store.checked["commits"] ?? 0) >= 1);
    assert.equal(call(folder.home, "backup", "--to", backup.path).code, 9, "never over another one");
    // The text of a token, which its hash stands for, is in none of its files.
    const files = readdirSync(backup.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      assert.ok(!(name.endsWith(".gz") ? gunzipSync(bytes) : bytes).includes(tutti.token), name);
    }

    lost = (await done(tutti, (await give(tutti, project, "true")).id)).id;
  });

  test("after kill -9 another home takes it over: everything of the backup, what was at work again, and no number twice", async () => {
    if (!tutti) assert.fail("there is no server");
    const was = await tutti.client.query("task.get", { id: finished });
    await kill(tutti);
    tutti = null;
    assert.equal(call(folder.home, "restore", backup.path).code, 9, "not over a store that is there");

    const restored = json<Restored>(second, "restore", backup.path);
    assert.equal(restored.missingEvents, 0);
    assert.deepEqual(
      restored.unknown.tasks.map(({ id }) => id),
      [working],
    );
    console.log(`RPO 0 of ${restored.events} events at the snapshot, RTO ${restored.ms} ms`);
    assert.equal(call(second, "restore", backup.path).code, 9, "nor a second time");
    assert.deepEqual(json<Verification>(second, "verify").problems, [], "also without a server");

    tutti = await startTutti({ home: second });
    const { items } = await tutti.client.query("task.list", { limit: 50 });
    assert.deepEqual(new Set(items.map(({ id }) => id)), new Set([finished, working]), "what came after the backup is gone");
    assert.deepEqual((await tutti.client.query("task.get", { id: finished })).result, was.result);
    const { work } = await fileOfRunning(tutti, working, "work.txt");
    writeFileSync(join(work, "go"), "");
    const again = await done(tutti, working);
    assert.deepEqual(
      again.attempts.map(({ state, reason }) => [state, reason]),
      [
        ["failed", "interrupted"],
        ["done", null],
      ],
    );
    assert.match(git(repository, "show", `${again.result?.branch}:work.txt`), /ended/);
    const next = await done(tutti, (await give(tutti, project, "true")).id);
    assert.ok(Number(next.id.slice(2)) > Number(lost.slice(2)), `${next.id} after ${lost}`);
    const events = await tutti.client.query("event.list", { stream: "instance", limit: 100 });
    assert.ok(events.items.some(({ type }) => type === "store.restored"));
    assert.deepEqual(json<Verification>(second, "verify").problems, []);
  });

  test("a server whose disk lost the newest writes does not start, says so, and starts when the loss is accepted", async () => {
    if (!tutti) assert.fail("there is no server");
    await done(tutti, (await give(tutti, project, "true")).id);
    await kill(tutti);
    tutti = null;
    const log = join(second, "tutti.db-wal");
    const size = readFileSync(log).length;
    truncateSync(log, Math.floor(size / 2));

    const refused = spawnTutti({ home: second });
    assert.equal(await refused.exited, 11, refused.output());
    assert.match(refused.output(), /lost something that it had acknowledged/);
    assert.match(refused.output(), /committed transactions? (is|are) missing/);
    assert.match(refused.output(), /tutti verify --accept-loss/);
    const found = call(second, "verify", "--json");
    assert.equal(found.code, 5);
    assert.ok((JSON.parse(found.stdout) as Verification).problems.some(({ area }) => area === "mark"));
    assert.equal(readFileSync(log).length, Math.floor(size / 2), "nothing of that changed the damaged log");

    const accepted = json<{ accepted: { commits: number }; kept: string }>(second, "verify", "--accept-loss");
    assert.ok(accepted.accepted.commits > 0);
    assert.ok(existsSync(accepted.kept));
    tutti = await startTutti({ home: second });
    const events = await tutti.client.query("event.list", { stream: "instance", limit: 200 });
    const told = events.items.find(({ type }) => type === "store.loss-accepted");
    assert.equal(told?.data["commits"], accepted.accepted.commits);
    assert.equal(call(second, "verify", "--accept-loss").code, 9, "a server has the home");
    await tutti.stop();
    tutti = null;
  });
});

suite("a server on PostgreSQL", () => {
  test("is backed up while it runs, and goes on as a server on SQLite", async () => {
    const postgres = await startPostgres();
    const [home, other] = [join(folder.path, "on-postgres"), join(folder.path, "from-postgres")];
    const env = { DATABASE_URL: await postgres.freshDatabase() };
    const server = await startTutti({ home, env });
    try {
      await addAgent(server, shellAgent);
      const repository_ = makeRepository(join(folder.path, "another"), { "a.txt": "a\n" });
      const task = await done(server, (await give(server, await addProject(server, repository_), "echo b > b.txt")).id);
      const made = await server.client.command("backup.create", { to: join(folder.path, "of-postgres") });
      assert.deepEqual((await server.client.query("backup.verify", {})).problems, []);
      assert.equal(json<Restored>(other, "restore", made.path).missingEvents, 0);
      tutti = await startTutti({ home: other });
      assert.deepEqual((await tutti.client.query("task.get", { id: task.id })).result, task.result);
    } finally {
      await server.stop();
      await postgres.stop();
    }
  });
});
