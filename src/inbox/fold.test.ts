import assert from "node:assert/strict";
import { test } from "node:test";
import { fold, foldable } from "./fold.ts";
import { isOpen, isUnseen } from "./inbox.ts";
import type { OpenApproval } from "./store.ts";

const approval = (id: string, more: Partial<OpenApproval> = {}): OpenApproval => ({
  id,
  project: "shop",
  kind: "permission",
  agent: "ann",
  hash: `hash of ${id}`,
  created_at: Number(id.slice(2)),
  ...more,
});

test("the same request of the same agent in the same project is one item, under the oldest one's id", () => {
  const approvals = [
    approval("A-1"),
    approval("A-2"),
    approval("A-3", { agent: "ben" }),
    approval("A-4", { project: "bank" }),
    approval("A-5"),
  ];
  const signatures = new Map(approvals.map(({ hash }) => [hash, hash === "hash of A-5" ? "other" : "same"]));
  assert.deepEqual(
    fold(approvals, signatures).map(({ id, ids, since, newest }) => [id, ids, since, newest]),
    [
      ["A-1", ["A-1", "A-2"], 1, 2],
      ["A-3", ["A-3"], 3, 3],
      ["A-4", ["A-4"], 4, 4],
      ["A-5", ["A-5"], 5, 5],
    ],
  );
});

test("questions of flows never fold, and what stands alone is not looked into", () => {
  const asks = [approval("A-1", { kind: "ask", agent: null }), approval("A-2", { kind: "ask", agent: null, hash: "hash of A-1" })];
  assert.equal(fold(asks, new Map()).length, 2);
  const mixed = [...asks, approval("A-3"), approval("A-4", { agent: "ben" }), approval("A-5")];
  assert.deepEqual(
    foldable(mixed).map(({ id }) => id),
    ["A-3", "A-5"],
  );
});

test("done hides what happened before it; a snooze hides until its time, however many of the same kind come", () => {
  const item = { since: 100, newest: 200 };
  assert.equal(isOpen(null, item, 1_000), true);
  assert.equal(isOpen({ mark: "open", until: null, at: 500 }, item, 1_000), true);
  assert.equal(isOpen({ mark: "done", until: null, at: 200 }, item, 1_000), false);
  assert.equal(isOpen({ mark: "done", until: null, at: 199 }, item, 1_000), true);
  assert.equal(isOpen({ mark: "snoozed", until: 2_000, at: 150 }, item, 1_000), false);
  assert.equal(isOpen({ mark: "snoozed", until: 2_000, at: 99 }, item, 1_000), true);
  assert.equal(isOpen({ mark: "snoozed", until: 1_000, at: 150 }, item, 1_000), true);
  assert.equal(isUnseen(null, 200), true);
  assert.equal(isUnseen({ mark: "open", until: null, at: 200 }, 200), false);
  assert.equal(isUnseen({ mark: "open", until: null, at: 199 }, 200), true);
});
