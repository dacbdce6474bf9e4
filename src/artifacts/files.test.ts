import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Artifacts } from "./artifact.ts";
import { openArtifacts } from "./files.ts";

let home = "";
let artifacts: Artifacts;

before(async () => {
  home = await mkdtemp(join(tmpdir(), "tutti-artifacts-"));
  artifacts = await openArtifacts(home, { maxBytes: 100_000 });
});

after(() => rm(home, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

async function bytesOf(id: string, start?: number, end?: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of artifacts.open(id, start, end)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

/** Every file below the folder of artifacts. */
const filesIn = async (folder: string): Promise<string[]> =>
  (await readdir(join(folder, "artifacts"), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

test("an artifact's id is the SHA-256 of its bytes and its file stands under the first two digits", async () => {
  const { id, size } = await artifacts.put("ä result");
  assert.equal(id, sha256("ä result"));
  assert.equal(size, 9);
  assert.equal(await readFile(join(home, "artifacts", id.slice(0, 2), id), "utf8"), "ä result");
  assert.equal(await artifacts.text(id), "ä result");
  assert.equal(await artifacts.size(id), 9);
});

test("text, bytes and a stream of the same content are one artifact", async () => {
  const text = await artifacts.put("one and the same");
  const bytes = await artifacts.put(new TextEncoder().encode("one and the same"));
  const stream = await artifacts.put(chunks(Buffer.from("one and "), Buffer.from("the same")));
  assert.deepEqual([bytes, stream], [text, text]);
  const concurrent = await Promise.all(Array.from({ length: 10 }, () => artifacts.put("at the same time")));
  assert.equal(new Set(concurrent.map(({ id }) => id)).size, 1);
  assert.equal(await artifacts.text(concurrent[0]?.id ?? ""), "at the same time");
});

test("the empty artifact can be stored and read", async () => {
  const { id, size } = await artifacts.put("");
  assert.equal(size, 0);
  assert.equal((await bytesOf(id)).length, 0);
});

test("a range is read as with slice", async () => {
  const content = randomBytes(70_000);
  const { id } = await artifacts.put(content);
  assert.deepEqual(await bytesOf(id), content);
  assert.deepEqual(await bytesOf(id, 10, 20), content.subarray(10, 20));
  assert.deepEqual(await bytesOf(id, 69_990), content.subarray(69_990));
  assert.deepEqual(await bytesOf(id, 69_990, 90_000), content.subarray(69_990));
  assert.equal((await bytesOf(id, 70_000)).length, 0);
});

test("unknown and malformed ids are not found, whatever they try to name", async () => {
  for (const id of ["0".repeat(64), "", "abc", "../../etc/passwd", "A".repeat(64), `${"0".repeat(62)}/.`]) {
    await assert.rejects(artifacts.size(id), { code: "not_found" });
    await assert.rejects(artifacts.text(id), { code: "not_found" });
    await assert.rejects(bytesOf(id), { code: "not_found" });
  }
});

test("content over the limit is refused and leaves nothing, exactly the limit is fine", async () => {
  const before = (await filesIn(home)).length;
  await assert.rejects(artifacts.put(chunks(randomBytes(60_000), randomBytes(40_001))), { code: "too_large" });
  assert.equal((await filesIn(home)).length, before);
  assert.equal((await artifacts.put(randomBytes(100_000))).size, 100_000);
});

test("a source that fails half way leaves nothing and its error rises", async () => {
  const before = (await filesIn(home)).length;
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield randomBytes(1000);
    throw new Error("the source broke");
  }
  await assert.rejects(artifacts.put(failing()), /the source broke/);
  assert.equal((await filesIn(home)).length, before);
});

test("only the owner can read what was stored", async () => {
  const { id } = await artifacts.put("private");
  assert.equal((await stat(join(home, "artifacts", id.slice(0, 2), id))).mode & 0o077, 0);
  assert.equal((await stat(join(home, "artifacts"))).mode & 0o077, 0);
});

test("half-written files of a crash are removed at the next start when they are a day old", async () => {
  const old = join(home, "artifacts", "incoming-old");
  const young = join(home, "artifacts", "incoming-young");
  await writeFile(old, "half");
  await writeFile(young, "half");
  const yesterday = Date.now() / 1000 - 25 * 60 * 60;
  await utimes(old, yesterday, yesterday);
  await openArtifacts(home);
  const left = await readdir(join(home, "artifacts"));
  assert.equal(left.includes("incoming-old"), false);
  assert.equal(left.includes("incoming-young"), true);
});
