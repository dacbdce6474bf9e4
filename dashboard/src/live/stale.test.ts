import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "../../../src/events/event.ts";
import { EventType } from "../../../src/events/event.ts";
import { isStaleBy, isKnownNoun, nounOf } from "./stale.ts";

const event = (more: Partial<Event>): Event => ({
  stream: "p",
  seq: 1,
  type: "task.settled",
  at: 0,
  task: "T-1",
  run: null,
  session: "S-1",
  data: {},
  ...more,
});

test("an event touches the lists of its noun, and of one thing's answers only that thing's", () => {
  assert.ok(isStaleBy(event({}), ["task.list", {}]));
  assert.ok(isStaleBy(event({}), ["task.get", { id: "T-1" }]));
  assert.ok(!isStaleBy(event({}), ["task.get", { id: "T-2" }]));
  assert.ok(isStaleBy(event({}), ["inbox.list", {}]));
  assert.ok(isStaleBy(event({}), ["dead-letter.list", {}]));
  assert.ok(!isStaleBy(event({}), ["token.list", {}]));
});

test("an answer about another kind of thing is not judged by this thing's id", () => {
  assert.ok(isStaleBy(event({ type: "approval.opened", run: "R-1" }), ["run.get", { id: "R-1" }]));
  assert.ok(!isStaleBy(event({ type: "approval.opened", run: "R-1" }), ["run.get", { id: "R-2" }]));
  assert.ok(isStaleBy(event({ type: "project.updated", task: null }), ["project.get", { id: "p" }]));
});

test("every kind of event says what it touches, or is known to touch nothing that is shown", () => {
  const quiet = ["orchestrator", "runner", "backup", "store"];
  for (const type of EventType.options) assert.ok(isKnownNoun(nounOf(type)) || quiet.includes(nounOf(type)), type);
});
