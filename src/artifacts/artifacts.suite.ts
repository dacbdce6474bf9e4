import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { ArtifactStore } from "./artifact.ts";

/** What every place of artifacts must do; each test opens its own connection to the same place. */
export interface ArtifactsHarness {
  open(options?: { maxBytes?: number }): Promise<ArtifactStore>;
  /** Moves the clock by which the place's artifacts grow old. */
  moveClock(ms: number): Promise<void>;
  /** How many artifacts, finished or not, have bytes in the place. */
  countStored(): Promise<number>;
}

export const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

export async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

const hour = 60 * 60 * 1000;
const day = 24 * hour;

async function bytesOf(artifacts: ArtifactStore, id: string, start?: number, end?: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of artifacts.open(id, start, end)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** A source that gives its parts when it is told to, so that a test can look in between. */
function stepwise(): { source: AsyncIterable<Uint8Array>; give(part: Uint8Array | Error | null): Promise<void> } {
  const steps: { part: Uint8Array | Error | null; taken: () => void }[] = [];
  let wake = (): void => undefined;
  async function* source(): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (steps.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const { part, taken } = steps.shift() ?? { part: null, taken: () => undefined };
      // Asked for the next part, the reader has dealt with the one before.
      if (part instanceof Error) throw part;
      if (part === null) return;
      yield part;
      taken();
    }
  }
  return {
    source: source(),
    give: (part) =>
      new Promise((resolve) => {
        steps.push({ part, taken: resolve });
        wake();
        if (!(part instanceof Uint8Array)) resolve();
      }),
  };
}

export function artifactsSuite(name: string, harness: () => Promise<ArtifactsHarness>): void {
  describe(`${name}: artifacts`, () => {
    const rule = (text: string, run: (artifacts: ArtifactStore, place: ArtifactsHarness) => Promise<void>): void =>
      void test(text, async () => {
        const place = await harness();
        const artifacts = await place.open();
        try {
          await run(artifacts, place);
        } finally {
          await artifacts.close();
        }
      });

    rule("an artifact's id is the SHA-256 of its bytes", async (artifacts) => {
      const { id, size } = await artifacts.put("ä result");
      assert.equal(id, sha256("ä result"));
      assert.equal(size, 9);
      assert.equal(await artifacts.size(id), 9);
      assert.equal(await artifacts.text(id), "ä result");
    });

    rule("text, bytes and a stream of the same content are one artifact, also when they are put at once", async (artifacts, place) => {
      const before = await place.countStored();
      const text = await artifacts.put("one and the same");
      const bytes = await artifacts.put(new TextEncoder().encode("one and the same"));
      const stream = await artifacts.put(pieces(Buffer.from("one and "), Buffer.from("the same")));
      assert.deepEqual([bytes, stream], [text, text]);
      const other = await place.open();
      const all = await Promise.all(Array.from({ length: 10 }, (_, n) => (n % 2 ? artifacts : other).put("at the same time")));
      await other.close();
      assert.equal(new Set(all.map(({ id }) => id)).size, 1);
      assert.equal(await artifacts.text(all[0]?.id ?? ""), "at the same time");
      assert.equal(await place.countStored(), before + 2);
    });

    rule("the empty artifact can be stored and read", async (artifacts) => {
      const { id, size } = await artifacts.put("");
      assert.equal(size, 0);
      assert.equal((await bytesOf(artifacts, id)).length, 0);
      assert.equal(await artifacts.text(id), "");
    });

    rule("a range is read as with slice, wherever the store cuts", async (artifacts) => {
      const content = randomBytes(700_000);
      const { id } = await artifacts.put(content);
      const chunk = 256 * 1024;
      for (const [start, end] of [
        [0, 700_000],
        [10, 20],
        [chunk - 1, chunk + 1],
        [chunk, 2 * chunk],
        [2 * chunk, 2 * chunk],
        [2 * chunk + 1, 900_000],
        [700_000, 700_001],
        [800_000, 900_000],
      ] as const) {
        assert.deepEqual(await bytesOf(artifacts, id, start, end), content.subarray(start, end), `${start} to ${end}`);
      }
      assert.deepEqual(await bytesOf(artifacts, id, 699_990), content.subarray(699_990));
    });

    rule("parts of any size come back in their order", async (artifacts) => {
      const parts = [1, 65_536, 300_000, 0, 262_143, 1, 262_144, 600_001].map((size) => randomBytes(size));
      const { id } = await artifacts.put(pieces(...parts));
      assert.equal(id, sha256(Buffer.concat(parts)));
      assert.deepEqual(await bytesOf(artifacts, id), Buffer.concat(parts));
    });

    rule("a source may use the memory of its parts again", async (artifacts) => {
      const shared = Buffer.alloc(100_000);
      async function* source(): AsyncGenerator<Uint8Array> {
        for (const letter of "abcdef") yield shared.fill(letter);
      }
      const { id } = await artifacts.put(source());
      const expected = Buffer.concat(["a", "b", "c", "d", "e", "f"].map((letter) => Buffer.alloc(100_000, letter)));
      assert.deepEqual(await bytesOf(artifacts, id), expected);
    });

    rule("unknown and malformed ids are not found, whatever they try to name", async (artifacts) => {
      for (const id of ["0".repeat(64), "", "abc", "../../etc/passwd", "A".repeat(64), `${"0".repeat(62)}/.`, "' or '' = '"]) {
        await assert.rejects(artifacts.size(id), { code: "not_found" });
        await assert.rejects(artifacts.text(id), { code: "not_found" });
        await assert.rejects(bytesOf(artifacts, id), { code: "not_found" });
        const removed = await artifacts.remove(id, 0).catch((error: { code: string }) => error.code);
        assert.ok(removed === null || removed === "not_found");
      }
    });

    rule("content over the limit is refused with both figures and leaves nothing, exactly the limit is fine", async (_, place) => {
      const small = await place.open({ maxBytes: 100_000 });
      const before = await place.countStored();
      const refused = small.put(pieces(randomBytes(60_000), randomBytes(40_001)));
      await assert.rejects(refused, (error: { code?: string; message?: string }) => {
        assert.equal(error.code, "too_large");
        assert.match(error.message ?? "", /100001 .*100000/);
        return true;
      });
      assert.equal(await place.countStored(), before);
      assert.equal((await small.put(randomBytes(100_000))).size, 100_000);
      await small.close();
    });

    rule("a source that fails half way leaves nothing and its error rises", async (artifacts, place) => {
      const before = await place.countStored();
      const { source, give } = stepwise();
      const put = assert.rejects(artifacts.put(source), /the source broke/);
      await give(randomBytes(600_000));
      await give(new Error("the source broke"));
      await put;
      assert.equal(await place.countStored(), before);
    });

    rule("what is half written is seen by nobody", async (artifacts) => {
      const [first, second] = [randomBytes(300_000), randomBytes(300_000)];
      const { source, give } = stepwise();
      const put = artifacts.put(source);
      await give(first);
      await give(second);
      const whole = sha256(Buffer.concat([first, second]));
      for (const id of [whole, sha256(first)]) await assert.rejects(artifacts.size(id), { code: "not_found" });
      assert.ok(!(await artifacts.listOlderThan(-day, { after: null, limit: 1000 })).includes(whole));
      await give(null);
      assert.equal((await put).id, whole);
      assert.equal(await artifacts.size(whole), 600_000);
    });

    rule("old artifacts are listed in the order of their ids, page by page, and young ones are not", async (artifacts, place) => {
      const old = await Promise.all(["list 1", "list 2", "list 3"].map((text) => artifacts.put(text)));
      await place.moveClock(2 * hour);
      const { id: young } = await artifacts.put("list young");
      const ids = old.map(({ id }) => id).toSorted();
      const listed: string[] = [];
      for (let after: string | null = null; ; after = listed.at(-1) ?? null) {
        const page = await artifacts.listOlderThan(hour, { after, limit: 2 });
        listed.push(...page);
        if (page.length < 2) break;
      }
      assert.deepEqual(listed, listed.toSorted());
      assert.deepEqual(
        listed.filter((id) => ids.includes(id)),
        ids,
      );
      assert.ok(!listed.includes(young));
    });

    rule(
      "an old artifact is removed with all of its bytes, a young one is not, and a second time there is nothing",
      async (artifacts, place) => {
        const before = await place.countStored();
        const { id } = await artifacts.put(randomBytes(600_000));
        assert.equal(await artifacts.remove(id, hour), null);
        await place.moveClock(2 * hour);
        assert.equal(await artifacts.remove(id, hour), 600_000);
        assert.equal(await artifacts.remove(id, hour), null);
        await assert.rejects(artifacts.size(id), { code: "not_found" });
        assert.equal(await place.countStored(), before);
      },
    );

    rule("an artifact that is put again is young again, and stays although it was listed as old", async (artifacts, place) => {
      const { id } = await artifacts.put("put twice");
      await place.moveClock(2 * hour);
      assert.ok((await artifacts.listOlderThan(hour, { after: null, limit: 1000 })).includes(id));
      await artifacts.put("put twice");
      assert.equal(await artifacts.remove(id, hour), null);
      assert.equal(await artifacts.text(id), "put twice");
    });

    rule("puts and removals of the same content at once, in two servers: what a put answered last is there", async (artifacts, place) => {
      const other = await place.open();
      for (let round = 0; round < 25; round += 1) {
        const { id } = await artifacts.put("contended");
        await place.moveClock(2 * hour);
        await Promise.all([
          artifacts.remove(id, hour),
          other.put("contended"),
          other.remove(id, hour),
          artifacts.put("contended"),
          artifacts.remove(id, hour),
        ]);
        assert.equal(await artifacts.text(id), "contended", `round ${round}`);
        await place.moveClock(2 * hour);
        assert.equal(await other.remove(id, hour), 9, `round ${round}`);
      }
      await other.close();
    });

    rule("what a put that never ended has left is removed when it is old, and its late end is an error", async (artifacts, place) => {
      const before = await place.countStored();
      const { source, give } = stepwise();
      const put = artifacts.put(source);
      put.catch(() => undefined);
      await give(randomBytes(600_000));
      assert.equal(await artifacts.removeLeftovers(), 0);
      await place.moveClock(9 * day);
      assert.equal(await artifacts.removeLeftovers(), 1);
      assert.equal(await place.countStored(), before);
      await give(null);
      await assert.rejects(put);
      assert.equal(await place.countStored(), before);
    });
  });
}
