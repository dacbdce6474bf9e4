import assert from "node:assert/strict";
import { test } from "node:test";
import { updateProject } from "../../../src/projects/commands.ts";
import { draftOf, updateOf } from "./project-form.ts";

const project = { id: "p", settings: { limit: 8, deliver: "local" as const, setup: null, sandbox: "default" as const } };
const draft = draftOf(project.settings);

test("nothing is sent when nothing differs", () => {
  assert.deepEqual(updateOf(project, draft), { input: null, limitProblem: null, opens: false });
  assert.equal(updateOf(project, { ...draft, setup: " \n" }).input, null);
});

test("only what differs is sent, as the server takes it", () => {
  const { input } = updateOf(project, { ...draft, limit: "3", deliver: "push", setup: "npm ci\n" });
  assert.deepEqual(input, { id: "p", settings: { limit: 3, deliver: "push", setup: "npm ci\n" } });
  assert.equal(updateProject.input.safeParse(input).success, true);
});

test("a set-up that is emptied is none: the repository's own counts again", () => {
  const set = { ...project, settings: { ...project.settings, setup: "npm ci" } };
  assert.deepEqual(updateOf(set, { ...draftOf(set.settings), setup: "" }).input?.settings, { setup: null });
});

test("only the step out of the sandbox has to be said twice", () => {
  assert.equal(updateOf(project, { ...draft, sandbox: "none" }).opens, true);
  const open = { ...project, settings: { ...project.settings, sandbox: "none" as const } };
  assert.equal(updateOf(open, { ...draftOf(open.settings), limit: "2" }).opens, false);
  assert.equal(updateOf(open, { ...draftOf(open.settings), sandbox: "default" }).opens, false);
});

test("a limit that is none holds everything back", () => {
  const { input, limitProblem } = updateOf(project, { ...draft, limit: "0", deliver: "push" });
  assert.equal(input, null);
  assert.match(limitProblem ?? "", /1 to 1000/);
});
