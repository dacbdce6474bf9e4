import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { makeClient, type Client } from "../entry/client.ts";
import type { AppError } from "../errors.ts";
import { sql } from "../db/plan.ts";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { createProject, getProjectQuery, listProjectsQuery, updateProject } from "./commands.ts";

const entries = [createProject, getProjectQuery, listProjectsQuery, updateProject] as const;

suite("projects", () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "tutti-projects-")));
  let server: TestServer;
  let client: Client<typeof entries>;
  before(async () => {
    server = await openServer({ entries });
    client = makeClient({ url: server.url, token: server.tokens.person, entries });
  });
  after(async () => {
    await server.close();
    rmSync(root, { recursive: true });
  });

  function makeRepository(name: string): string {
    const folder = join(root, name);
    mkdirSync(join(folder, "src"), { recursive: true });
    const env = { PATH: process.env.PATH ?? "", HOME: root, GIT_CONFIG_NOSYSTEM: "1" };
    for (const args of [
      ["init", "-q", "-b", "main"],
      ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "--allow-empty", "-m", "first"],
    ]) {
      execFileSync("git", ["-C", folder, ...args], { env });
    }
    return folder;
  }

  test("a folder becomes a project once, from whatever place inside of it", async () => {
    const folder = makeRepository("My Shop");
    const made = await client.command("project.create", { folder });
    assert.deepEqual([made.id, made.name, made.source, made.baseBranch], ["my-shop", "My Shop", folder, "main"]);
    assert.deepEqual(made.settings, { sandbox: "default", setup: null, deliver: "local", limit: 8 });
    assert.deepEqual(await client.command("project.create", { folder: join(folder, "src"), name: "other" }), made);
    assert.deepEqual(await client.query("project.get", { id: "my-shop" }), made);
    const events = await server.services.db.read.all<{ type: string }>(sql`select type from events where stream = 'my-shop'`);
    assert.deepEqual(
      events.map(({ type }) => type),
      ["project.created"],
    );
  });

  test("many at once make one project", async () => {
    const folder = makeRepository("crowd");
    const made = await Promise.all([1, 2, 3, 4, 5].map(() => client.command("project.create", { folder })));
    assert.equal(new Set(made.map(({ id }) => id)).size, 1);
  });

  test("ids are free ones, and none is called like the instance's own stream", async () => {
    const create = async (folder: string, name: string) =>
      (await client.command("project.create", { folder: makeRepository(folder), name })).id;
    assert.deepEqual([await create("a1", "Twin"), await create("a2", "twin!"), await create("a3", "TWIN")], ["twin", "twin-2", "twin-3"]);
    assert.equal(await create("a4", "instance"), "instance-2");
  });

  test("what is no absolute path, no repository or no branch's name is refused, and nothing is made", async () => {
    const before = (await client.query("project.list", { limit: 500 })).items.length;
    const folder = makeRepository("refused");
    for (const input of [
      { folder: "refused" },
      { folder: join(root, "missing") },
      { folder: root },
      ...["--upload-pack=x", "a..b", "a b", "x/", ".x", "a\nb", "@{x"].map((baseBranch) => ({ folder, baseBranch })),
      { folder, settings: { sandbox: "maybe" as "none" } },
    ]) {
      await assert.rejects(
        client.command("project.create", input),
        (error: AppError) => error.code === "invalid_input",
        JSON.stringify(input),
      );
    }
    assert.equal((await client.query("project.list", { limit: 500 })).items.length, before);
    assert.equal((await client.command("project.create", { folder, baseBranch: "release/1.0" })).baseBranch, "release/1.0");
  });

  test("a change of settings keeps what it does not name; changes at once do not undo each other", async () => {
    const { id } = await client.command("project.create", { folder: makeRepository("settings"), settings: { limit: 3 } });
    await Promise.all([
      client.command("project.update", { id, settings: { setup: "npm ci" } }),
      client.command("project.update", { id, settings: { sandbox: "none" } }),
      client.command("project.update", { id, settings: { limit: 5 } }),
    ]);
    assert.deepEqual((await client.query("project.get", { id })).settings, {
      sandbox: "none",
      setup: "npm ci",
      deliver: "local",
      limit: 5,
    });
    await client.command("project.update", { id, settings: { setup: null } });
    assert.equal((await client.query("project.get", { id })).settings.setup, null);
    await assert.rejects(
      client.command("project.update", { id: "nowhere", settings: {} }),
      (error: AppError) => error.code === "not_found",
    );
  });

  test("the list comes in pages without a gap", async () => {
    const all = (await client.query("project.list", { limit: 500 })).items.map(({ id }) => id);
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const part = await client.query("project.list", { limit: 2, cursor });
      paged.push(...part.items.map(({ id }) => id));
      cursor = part.next ?? undefined;
    } while (cursor !== undefined);
    assert.deepEqual(paged, all);
    assert.ok(all.length > 5);
  });
});
