import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeSampleRepository } from "./sample.ts";
import { openWorld, type World, write } from "./world.suite.ts";

let world: World;
before(async () => {
  world = await openWorld();
  write(join(world.root, "example/package.json"), "{}\n");
  write(join(world.root, "example/.gitignore"), "dist\n");
});
after(() => world.dispose());

test("the sample is a repository with one commit on main and a clean tree, made once", async () => {
  const options = { from: join(world.root, "example"), to: join(world.root, "made/sample"), path: process.env.PATH ?? "" };
  write(join(world.root, "made/sample.making/half"), "of a crash");
  assert.equal(await makeSampleRepository(options), options.to);
  const found = await world.workspaces.inspect(options.to);
  assert.deepEqual([found.branch, found.name, found.dirty], ["main", "sample", []]);
  assert.equal(world.git(options.to, "ls-files"), ".gitignore\npackage.json");
  write(join(options.to, "mine"), "x");
  await makeSampleRepository(options);
  assert.equal(existsSync(join(options.to, "mine")), true);
});

test("a sample that is missing is an error that says so", async () => {
  const options = { from: join(world.root, "nowhere"), to: join(world.root, "made/other"), path: process.env.PATH ?? "" };
  await assert.rejects(makeSampleRepository(options), { code: "failed", message: "the sample of the tour is missing" });
});
