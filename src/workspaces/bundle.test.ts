import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { after, suite, test } from "node:test";
import { openWorld } from "./world.suite.ts";

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

suite("a mirror as a bundle", async () => {
  const world = await openWorld();
  after(() => world.dispose());
  let whole = Buffer.alloc(0);
  const refs = (): string => world.git(world.mirror, "for-each-ref", "--format=%(refname) %(objectname)");

  test("there is none of a mirror that is not there", async () => {
    assert.equal(await world.workspaces.bundle({ ...world.repository, project: "nowhere" }), null);
  });

  test("it comes back with every ref, the snapshots of sessions among them", async () => {
    await world.snapshot(await world.open());
    const before = refs();
    assert.match(before, /refs\/heads\/main/);
    assert.match(before, /refs\/tutti\/\S+\/base/);
    whole = Buffer.concat(await Array.fromAsync((await world.workspaces.bundle(world.repository)) ?? []));
    await assert.rejects(world.workspaces.unbundle(world.repository, once(whole)), { code: "conflict" });
    rmSync(world.mirror, { recursive: true });
    await world.workspaces.unbundle(world.repository, once(whole));
    assert.equal(refs(), before);
    const head = world.git(world.mirror, "rev-parse", "main");
    assert.deepEqual(await world.workspaces.missing(world.repository, [head, "1".repeat(40)]), ["1".repeat(40)]);
  });

  test("damaged bytes are refused, and nothing of them is left", async () => {
    const damaged = [
      whole.subarray(0, whole.length - 30),
      Buffer.from(whole.map((byte, at) => (at === whole.length - 40 ? byte ^ 1 : byte))),
      Buffer.from("no bundle"),
    ];
    rmSync(world.mirror, { recursive: true });
    for (const bytes of damaged) {
      await assert.rejects(world.workspaces.unbundle(world.repository, once(bytes)), { code: "check_failed" });
      for (const left of [world.mirror, `${world.mirror}.making`, `${world.mirror}.bundle`]) assert.ok(!existsSync(left), left);
    }
    assert.deepEqual(await world.workspaces.missing(world.repository, ["1".repeat(40)]), ["1".repeat(40)]);
  });
});
