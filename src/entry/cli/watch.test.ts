import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EventType, type Event } from "../../events/event.ts";
import { describe } from "./watch.ts";

const event = (type: EventType, data: Record<string, unknown>, more: Partial<Event> = {}): Event => ({
  stream: "tea",
  seq: 1,
  type,
  at: 0,
  task: "T-1",
  run: null,
  session: null,
  data,
  ...more,
});

suite("what a waiting person is told", () => {
  const lines: [string, Event, string | null][] = [
    ["who begins", event("task.assigned", { agent: "goose" }), "○ starting  T-1  goose"],
    ["that it is the demo model", event("task.assigned", { agent: "demo", demo: true }), "○ starting  T-1  demo (demo model)"],
    ["that Tutti does it itself", event("task.assigned", { agent: null }), "○ starting  T-1  tutti"],
    ["what is begun", event("task.started", { title: "fix it" }), "● running  T-1  fix it"],
    ["a step by its name, once", event("task.started", { step: "plan", title: "plan" }, { run: "R-1" }), "● running  plan"],
    [
      "why it goes on later",
      event("task.requeued", { state: "queued", reason: "retry", message: "it died" }),
      "· queued: retry  T-1  it died",
    ],
    ["that it is done", event("task.settled", { state: "done", verified: null }), "✓ done  T-1"],
    ["that its check passed", event("task.settled", { state: "done", verified: true }), "✓ done  T-1 verified"],
    [
      "once that its check failed",
      event("task.settled", { state: "failed", reason: "check failed", verified: false, message: "2 tests" }),
      "✗ failed: check failed  T-1  2 tests",
    ],
    [
      "beside another reason that its check failed",
      event("task.settled", { state: "failed", reason: "time limit", verified: false }),
      "✗ failed: time limit  T-1 check failed",
    ],
    ["of a run the step, not its task", event("task.settled", { state: "done" }, { run: "R-1" }), null],
    ["how a step ended", event("step.settled", { step: "ok", state: "done", answer: "yes" }, { run: "R-1" }), "✓ done  ok  yes"],
    ["what is asked", event("approval.opened", { step: "ok", question: "Merge?", approval: "A-1" }), "? needs you  ok  Merge?"],
    ["what an agent wants to do", event("approval.opened", { tool: "write", approval: "A-1" }), "? needs you  T-1  wants to use write"],
    ["what was answered", event("approval.answered", { approval: "A-1", answer: "yes" }), "✓ answered  T-1  A-1: yes"],
    ["how a run ended", event("run.settled", { state: "done" }, { task: null, run: "R-1" }), "✓ done  R-1"],
  ];
  for (const [what, given, line] of lines) {
    test(what, () => {
      assert.equal(describe(given), line);
    });
  }

  test("nothing of an event steers the terminal, or makes a second line", () => {
    const evil = "\u001b[2J\u001b]0;x\u0007a\nb\u202e";
    for (const type of EventType.options) {
      const data = Object.fromEntries(
        ["state", "reason", "step", "agent", "title", "message", "question", "tool", "approval", "answer"].map((name) => [name, evil]),
      );
      assert.doesNotMatch(describe(event(type, data)) ?? "", /[\p{Cc}\u202e]/u, type);
    }
  });
});
