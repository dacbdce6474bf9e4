import assert from "node:assert/strict";
import { renameSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { artifactsSuite, sha256 } from "./artifacts.suite.ts";
import { openFileArtifacts } from "./files.ts";

const homes: string[] = [];
after(() => Promise.all(homes.map((home) => rm(home, { recursive: true, force: true }))));

async function newHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "tutti-artifacts-"));
  homes.push(home);
  return home;
}

artifactsSuite("files", async () => {
  const home = await newHome();
  let movedMs = 0;
  const now = (): number => Date.now() + movedMs;
  return {
    open: (options) => openFileArtifacts(home, { now, ...options }),
    moveClock: (ms) => Promise.resolve(void (movedMs += ms)),
    countStored: async () =>
      (await readdir(join(home, "artifacts"), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length,
  };
});

test("an artifact's file stands under the first two digits of its id, and only the owner can read it", async () => {
  const home = await newHome();
  const artifacts = await openFileArtifacts(home);
  const { id } = await artifacts.put("private");
  const file = join(home, "artifacts", id.slice(0, 2), id);
  assert.equal(await readFile(file, "utf8"), "private");
  assert.equal((await stat(file)).mode & 0o077, 0);
  assert.equal((await stat(join(home, "artifacts"))).mode & 0o077, 0);
});

test("an artifact that another process puts between the look at its age and its removal stays", async () => {
  const home = await newHome();
  const id = sha256("put meanwhile");
  const file = join(home, "artifacts", id.slice(0, 2), id);
  let putMeanwhile = (): void => undefined;
  const artifacts = await openFileArtifacts(home, {
    // It asks for the time when it has seen the file's.
    now() {
      putMeanwhile();
      return Date.now();
    },
  });
  await artifacts.put("put meanwhile");
  utimesSync(file, 1, 1);
  putMeanwhile = () => {
    putMeanwhile = () => undefined;
    writeFileSync(join(home, "new"), "put meanwhile");
    renameSync(join(home, "new"), file);
  };
  assert.equal(await artifacts.remove(id, 60_000), null);
  assert.equal(await artifacts.text(id), "put meanwhile");
  utimesSync(file, 1, 1);
  assert.equal(await artifacts.remove(id, 60_000), 13, "control: without that it goes");
});

test("an artifact that a crash caught while it was moved aside to be removed is back at the next start", async () => {
  const home = await newHome();
  const artifacts = await openFileArtifacts(home);
  const { id } = await artifacts.put("still wanted");
  const folder = join(home, "artifacts");
  await rename(join(folder, id.slice(0, 2), id), join(folder, `leaving-${id}-0b1c`));
  await assert.rejects(artifacts.size(id), { code: "not_found" });
  const again = await openFileArtifacts(home);
  assert.equal(await again.text(id), "still wanted");
  assert.deepEqual(await readdir(folder), [id.slice(0, 2)]);
});
