import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startPostgres } from "../../test/support/postgres.ts";
import { openFileArtifacts } from "../artifacts/files.ts";
import { listReferenced } from "../artifacts/store.ts";
import type { Db } from "../db/plan.ts";
import { openPostgres } from "../db/postgres.ts";
import { openSqlite } from "../db/sqlite.ts";
import type { Repository, Workspaces } from "../workspaces/workspace.ts";
import { ensureCommit } from "./bring-commit.ts";
import { insertPack, listPacks } from "./packs-store.ts";

const id = (letter: string, length = 40): string => letter.repeat(length);
const [one, two] = [id("1"), id("2")];
const repository: Repository = { project: "p", source: "the person's repository", baseBranch: "main" };

/** A home that has these commits, and what it was asked to do. */
function home(has: string[], inSource: string[] = []): { workspaces: Workspaces; did: string[] } {
  const here = new Set(has);
  const did: string[] = [];
  const workspaces: Partial<Workspaces> = {
    has: async (_repository, commit) => here.has(commit),
    async refresh() {
      did.push("refresh");
      inSource.forEach((commit) => here.add(commit));
      return { head: one, mirror: "" };
    },
    async unpack({ commit, bytes }) {
      did.push(`unpack ${Buffer.concat(await Array.fromAsync(bytes)).toString()}`);
      here.add(commit);
    },
  };
  return { workspaces: workspaces as Workspaces, did };
}

async function withStore(kind: Db["kind"], use: (db: Db, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tutti-packs-"));
  const postgres = kind === "postgres" ? await startPostgres() : null;
  const db = postgres ? await openPostgres({ url: await postgres.freshDatabase() }) : await openSqlite({ file: join(folder, "tutti.db") });
  try {
    await use(db, folder);
  } finally {
    await db.close();
    await postgres?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

for (const kind of ["sqlite", "postgres"] as const) {
  test(`${kind}: packs are found by project and commit, told twice they are one, and their artifacts are not collected`, async () => {
    await withStore(kind, async (db) => {
      const pack = { commit: one, artifact: id("a", 64), size: 10 };
      const write = (project: string, given: typeof pack, now: number) =>
        db.commit({ statements: insertPack(project, given, now), events: [] });
      for (const again of [1, 2]) assert.equal((await write("p", pack, again)).kind, "committed");
      await write("other", { ...pack, commit: two }, 1);
      assert.deepEqual(await listPacks(db.read, "p", [one, two]), [pack]);
      assert.deepEqual(await listPacks(db.read, "p", []), []);
      const newer = { commit: one, artifact: id("b", 64), size: 11 };
      await write("p", newer, 3);
      assert.deepEqual(await listPacks(db.read, "p", [one]), [newer]);
      assert.deepEqual(await listReferenced(db.read, [id("b", 64), id("c", 64)]), new Set([id("b", 64)]));
    });
  });
}

test("a commit that a home does not have comes as its pack, else from the person's repository, else it is said what is missing", async () => {
  await withStore("sqlite", async (db, folder) => {
    const artifacts = await openFileArtifacts(folder);
    const { id: artifact, size } = await artifacts.put("its bytes");
    await db.commit({ statements: insertPack("p", { commit: one, artifact, size }, 1), events: [] });
    const ensure = ({ workspaces }: { workspaces: Workspaces }, commit: string) =>
      ensureCommit({ read: db.read, artifacts, workspaces }, repository, commit);

    const there = home([one]);
    await ensure(there, one);
    assert.deepEqual(there.did, []);
    const packed = home([]);
    await ensure(packed, one);
    await ensure(packed, one);
    assert.deepEqual(packed.did, ["unpack its bytes"]);
    const fetched = home([], [two]);
    await ensure(fetched, two);
    assert.deepEqual(fetched.did, ["refresh"]);
    await assert.rejects(ensure(home([]), two), { code: "not_found", message: `commit ${two} is not on this machine` });
  });
});
