import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openWorld, type World, write } from "./world.suite.ts";

let world: World;
let from: string;
let to: string;
before(async () => {
  world = await openWorld();
  const workspace = await world.open();
  write(join(workspace.path, "README.md"), "# Better\n");
  write(join(workspace.path, "ü mlaut.txt"), "one\n");
  write(join(workspace.path, "large.txt"), "a line of text\n".repeat(100_000));
  symlinkSync("/etc/passwd", join(workspace.path, "link"));
  from = workspace.base;
  to = (await world.snapshot(workspace)).commit ?? assert.fail();
});
after(() => world.dispose());

const read = (path: string) => world.workspaces.readFile({ repository: world.repository, commit: to, path });

test("a diff is unified, with names as they are", async () => {
  const text = await world.workspaces.diff({ repository: world.repository, from, to, maxBytes: 10_000_000 });
  assert.match(text, /^-# Sample\n\+# Better$/m);
  assert.match(text, /^\+\+\+ b\/ü mlaut\.txt/m);
  assert.equal(await world.workspaces.diff({ repository: world.repository, from, to: from }), "");
});

test("a diff over the limit is cut at the end of a line, and says so", async () => {
  const text = await world.workspaces.diff({ repository: world.repository, from, to, maxBytes: 5000 });
  assert.ok(Buffer.byteLength(text) < 5200);
  assert.match(text, /\+a line of text\n\\ The diff is longer than 5000 bytes and ends here\.\n$/);
});

test("a file of a commit is its text; what is no file there is null", async () => {
  assert.equal(await read("README.md"), "# Better\n");
  assert.equal(await read("ü mlaut.txt"), "one\n");
  for (const path of ["nothing", "src", "link", "link/x", "", "src/", "/etc/passwd"]) assert.equal(await read(path), null, path);
});

test("a path has no way out of the commit, and no other meaning for git", async () => {
  const paths = [
    "../../../etc/passwd",
    "src/../README.md",
    "./README.md",
    ":README.md",
    ":(top)README.md",
    "*",
    "--help",
    "README.md\0x",
    "..",
    ".",
  ];
  for (const path of paths) assert.equal(await read(path), null, JSON.stringify(path));
});

test("a file over 1 MB is refused; a commit must be a full id that the mirror has", async () => {
  await assert.rejects(read("large.txt"), { code: "too_large" });
  const at = (commit: string) => world.workspaces.readFile({ repository: world.repository, commit, path: "README.md" });
  await assert.rejects(at("HEAD"), { code: "invalid_input" });
  await assert.rejects(at("--all"), { code: "invalid_input" });
  await assert.rejects(at("1".repeat(40)), { code: "not_found" });
  await assert.rejects(world.workspaces.diff({ repository: world.repository, from: "--output=x", to }), { code: "invalid_input" });
});
