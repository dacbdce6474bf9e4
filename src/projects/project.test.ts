import assert from "node:assert/strict";
import { test } from "node:test";
import { Project, slug } from "./project.ts";
import { readRepositorySettings } from "./repository-settings.ts";

test("a project's id comes from its folder's name and always fits", () => {
  for (const [name, id] of [
    ["My Shop!", "my-shop"],
    ["Größe", "gro-e"],
    ["***", "project"],
    ["-a-", "a"],
  ]) {
    const made = slug(name ?? "");
    assert.ok(Project.shape.id.safeParse(made).success, made);
    if (name !== "Größe") assert.equal(made, id);
  }
  assert.ok(slug("x".repeat(300)).length <= 50);
});

test("set-up commands come from tutti.yaml, then from paseo.json; what cannot be understood says nothing", () => {
  assert.equal(readRepositorySettings({ tuttiYaml: "setup: npm ci\n", paseoJson: null }).setup, "npm ci");
  assert.equal(readRepositorySettings({ tuttiYaml: "setup:\n  - a\n  - b\n", paseoJson: null }).setup, "a\nb");
  assert.equal(readRepositorySettings({ tuttiYaml: null, paseoJson: '{"worktree":{"setup":["x"]}}' }).setup, "x");
  for (const bad of ["setup: {a: 1}", ": [", "- 1"]) assert.equal(readRepositorySettings({ tuttiYaml: bad, paseoJson: "{" }).setup, null);
});
