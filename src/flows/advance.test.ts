import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { advance, type Move, type RunView, type StepView } from "./advance.ts";
import { parseTemplate } from "./expression.ts";
import type { TaskSpec } from "../tasks/task.ts";
import { stepIsTerminal, type Flow, type FlowStep, type Template } from "./flow.ts";

const template = (text: string): Template => {
  const parsed = parseTemplate(text);
  assert.ok(Array.isArray(parsed));
  return parsed;
};
const work = { env: {}, with: {}, output: null, check: null, minutes: null, from: null };
const node = (id: string, needs: string[], condition?: string) => ({
  id,
  needs,
  if: condition ? template(condition) : null,
  at: { file: "f.yaml", line: 1, column: 1 },
});
const agent = (id: string, needs: string[], prompt = "do it", condition?: string): FlowStep => ({
  kind: "agent",
  agent: { name: "worker" },
  prompt: template(prompt),
  ...work,
  ...node(id, needs, condition),
});
const each = (id: string, needs: string[], list: string, more: { parallel?: number; quorum?: number } = {}): FlowStep => ({
  kind: "each",
  each: template(list),
  as: "part",
  parallel: more.parallel ?? 4,
  quorum: more.quorum ?? 1,
  work: { kind: "agent", agent: {}, prompt: template("fix ${{ part.title }} (${{ index }})"), ...work },
  ...node(id, needs),
});
const fold = (id: string, needs: string[], list: string, prompt: string): FlowStep => ({
  kind: "fold",
  fold: template(list),
  work: { kind: "agent", agent: {}, prompt: template(prompt), ...work },
  ...node(id, needs),
});
const merge = (id: string, needs: string[], from: string[]): FlowStep => ({
  kind: "merge",
  merge: from,
  into: null,
  check: null,
  minutes: null,
  ...node(id, needs),
});

const view = (steps: FlowStep[], changed: Record<string, Partial<StepView>> = {}, more: Partial<RunView> = {}): RunView => ({
  id: "R-1",
  flow: { name: "f", inputs: {}, minutes: null, steps, hash: "h" } satisfies Flow,
  inputs: {},
  agents: {},
  base: "base0",
  stop: null,
  steps: Object.fromEntries(steps.map(({ id }) => [id, { id, state: "queued", reason: "needs", ...changed[id] } satisfies StepView])),
  changes: {},
  items: {},
  ...more,
});
const done = (output: unknown = null): Partial<StepView> => ({ state: "done", reason: null, result: { output, outputs: [] } });
const brief = (moves: Move[]): string[] =>
  moves.map((move) =>
    `${move.kind} ${"step" in move ? move.step : ""}${"state" in move ? ` ${move.state}` : ""}`.trim().replaceAll(/ +/g, " "),
  );

test("steps without open needs start, the others wait", () => {
  const { moves, state } = advance(view([agent("a", []), agent("b", ["a"]), agent("c", [])]));
  assert.deepEqual(brief(moves), ["start a", "start c"]);
  assert.equal(state, "running");
});

test("a diamond's last step starts when both of its needs are done, and once", () => {
  const steps = [agent("a", []), agent("b", ["a"]), agent("c", ["a"]), agent("d", ["b", "c"])];
  const working = { state: "running" as const, reason: null };
  assert.deepEqual(brief(advance(view(steps, { a: done(), b: done(), c: working })).moves), []);
  assert.deepEqual(brief(advance(view(steps, { a: done(), b: done(), c: done() })).moves), ["start d"]);
  assert.deepEqual(brief(advance(view(steps, { a: done(), b: done(), c: done(), d: working })).moves), []);
});

test("what needs a failed step is skipped, down the line, and the run fails when nothing else is left", () => {
  const steps = [agent("a", []), agent("b", ["a"]), agent("c", ["b"]), agent("x", [])];
  const failed = { state: "failed" as const, reason: "agent failed" as const };
  const { moves, state } = advance(view(steps, { a: failed, x: done() }));
  assert.deepEqual(brief(moves), ["settle step b skipped", "settle step c skipped", "settle run failed"]);
  assert.equal(state, "failed");
  assert.deepEqual(brief(advance(view(steps, { a: failed })).moves), ["settle step b skipped", "settle step c skipped", "start x"]);
});

test("a step whose own condition is false is skipped and holds nothing up", () => {
  const steps = [agent("a", []), agent("b", ["a"], "x", "${{ steps.a.output == 'go' }}"), agent("c", ["b"])];
  assert.deepEqual(brief(advance(view(steps, { a: done("stay") })).moves), ["settle step b skipped", "start c"]);
  assert.deepEqual(brief(advance(view(steps, { a: done("go") })).moves), ["start b"]);
});

test("results that an expression reads are asked for before anything moves", () => {
  const steps = [agent("a", []), agent("b", ["a"], "use ${{ steps.a.output }}"), agent("c", [])];
  const { moves, missing } = advance(view(steps, { a: { state: "done", reason: null } }));
  assert.deepEqual(moves, []);
  assert.deepEqual([...(missing?.results ?? [])], ["a"]);
});

test("templates are filled, names stand in for agents, and the base goes along", () => {
  const { moves } = advance(
    view(
      [agent("a", []), agent("b", ["a"], "use ${{ steps.a.output.n }} of ${{ inputs.x }}")],
      { a: done({ n: 3 }) },
      { inputs: { x: "y" }, agents: { worker: "goose" } },
    ),
  );
  const [start] = moves;
  assert.ok(start?.kind === "start" && start.spec.kind === "agent");
  assert.equal(start.spec.prompt, "use 3 of y");
  assert.equal(start.spec.agent.name, "goose");
  assert.equal(start.spec.base, "base0");
});

test("an expression that fails ends its step with the reason, not the server", () => {
  const { moves } = advance(view([agent("a", []), agent("b", ["a"], "${{ steps.a.output.nothing.at.all }}")], { a: done({}) }));
  assert.deepEqual(brief(moves), ["settle step b failed", "settle run failed"]);
  assert.ok(moves[0]?.kind === "settle step" && moves[0].message);
});

test("a group opens with as many items as may run at once, and goes on from its cursor", () => {
  const items = [1, 2, 3, 4, 5].map((n) => ({ title: `t${n}` }));
  const steps = [agent("a", []), each("g", ["a"], "${{ steps.a.output }}", { parallel: 2 })];
  const opened = advance(view(steps, { a: done(items) })).moves;
  assert.deepEqual(brief(opened), ["open group g", "start items g"]);
  const first = opened[1];
  assert.ok(first?.kind === "start items");
  assert.deepEqual(
    first.tasks.map(({ id, title }) => [id, title]),
    [
      ["g[0]", "t1"],
      ["g[1]", "t2"],
    ],
  );
  const open = { state: "running" as const, reason: null, group: { wanted: 5, created: 2, done: 1, failed: 0, cancelled: 0 } };
  assert.deepEqual([...(advance(view(steps, { a: done(items), g: open })).missing?.items ?? [])], ["g"]);
  const next = advance(view(steps, { a: done(items), g: open }, { items: { g: items } })).moves;
  assert.ok(next[0]?.kind === "start items" && next[0].from === 2 && next[0].tasks.length === 1);
});

test("a group is done with its quorum, fails without it, and an empty one is done at once", () => {
  const open = (group: Partial<NonNullable<StepView["group"]>>): Partial<StepView> => ({
    state: "running",
    reason: null,
    group: { wanted: 4, created: 4, done: 0, failed: 0, cancelled: 0, ...group },
  });
  const steps = (quorum: number) => [each("g", [], "${{ inputs.x }}", { quorum })];
  assert.deepEqual(brief(advance(view(steps(1), { g: open({ done: 4 }) })).moves), ["settle step g done", "settle run done"]);
  assert.deepEqual(brief(advance(view(steps(1), { g: open({ done: 3, failed: 1 }) })).moves), [
    "settle step g failed",
    "settle run failed",
  ]);
  assert.deepEqual(brief(advance(view(steps(0.75), { g: open({ done: 3, failed: 1 }) })).moves), ["settle step g done", "settle run done"]);
  assert.deepEqual(brief(advance(view(steps(1), {}, { inputs: { x: [] } })).moves), [
    "open group g",
    "settle step g done",
    "settle run done",
  ]);
  assert.deepEqual(brief(advance(view(steps(1), {}, { inputs: { x: "no list" } })).moves), ["settle step g failed", "settle run failed"]);
});

test("a fold's items reach its prompt as data when the prompt does not name them", () => {
  const group = { ...done(), result: { output: null, outputs: ["one", "two"] } };
  const silent = advance(view([each("g", [], "${{ inputs.x }}"), fold("f", ["g"], "${{ steps.g.outputs }}", "sum up")], { g: group }))
    .moves[0];
  assert.ok(silent?.kind === "start" && silent.spec.kind === "agent");
  assert.match(silent.spec.prompt, /sum up\n\nData for this step \(JSON\):\n[^]*"one",\n[^]*"two"/);
  const named = advance(
    view([each("g", [], "${{ inputs.x }}"), fold("f", ["g"], "${{ steps.g.outputs }}", "sum up ${{ items }}")], { g: group }),
  ).moves[0];
  assert.ok(named?.kind === "start" && named.spec.kind === "agent" && named.spec.prompt === 'sum up ["one","two"]');
});

test("a merge takes the changes of its steps, each named with its run", () => {
  const steps = [agent("a", []), merge("m", ["a"], ["a"])];
  assert.deepEqual([...(advance(view(steps, { a: done() })).missing?.changes ?? [])], ["a"]);
  const change = { step: "a", title: "a", commit: "c1", agent: "demo" };
  const [move] = advance(view(steps, { a: done() }, { changes: { a: [change] } })).moves;
  assert.ok(move?.kind === "start" && move.spec.kind === "merge");
  assert.deepEqual(move.spec.sources, [{ ...change, step: "R-1/a" }]);
});

test("a question makes the run wait for a person", () => {
  const question: FlowStep = {
    kind: "ask",
    who: "owner",
    question: template("Merge ${{ inputs.x }}?"),
    show: {},
    options: ["yes", "no"],
    timeoutMs: null,
    default: null,
    ...node("q", []),
  };
  const { moves, state } = advance(view([question], {}, { inputs: { x: "it" } }));
  assert.ok(moves[0]?.kind === "ask" && moves[0].question === "Merge it?");
  assert.equal(state, "needs you");
  assert.deepEqual(brief(advance(view([question], { q: { state: "needs you", reason: "question" } }, { stop: "person" })).moves), [
    "settle step q cancelled",
    "settle run cancelled",
  ]);
});

test("a stopped run starts nothing, waits for what runs, and then is cancelled; one whose time is over fails", () => {
  const steps = [agent("a", []), agent("b", ["a"])];
  const working = { state: "running" as const, reason: null };
  assert.deepEqual(brief(advance(view(steps, { a: working }, { stop: "person" })).moves), ["settle step b cancelled"]);
  assert.deepEqual(brief(advance(view(steps, { a: { state: "cancelled", reason: "person" } }, { stop: "person" })).moves), [
    "settle step b cancelled",
    "settle run cancelled",
  ]);
  assert.deepEqual(brief(advance(view(steps, { a: { state: "cancelled", reason: "person" } }, { stop: "time limit" })).moves), [
    "settle step b cancelled",
    "settle run failed",
  ]);
});

test("whatever the graph and however its steps end, every run comes to an end and no step starts before its needs", () => {
  const graphs = fc.array(fc.array(fc.nat(9), { maxLength: 3 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(graphs, fc.infiniteStream(fc.constantFrom("done" as const, "failed" as const)), (graph, ends) => {
      const steps = graph.map((needs, index) =>
        agent(`s${index}`, [...new Set(needs.filter((need) => need < index).map((need) => `s${need}`))]),
      );
      const run = view(steps);
      const started = new Set<string>();
      for (let round = 0; round < 50; round += 1) {
        for (const move of advance(run).moves) {
          const step = "step" in move ? run.steps[move.step] : undefined;
          if (move.kind === "settle run") return Object.values(run.steps).every(({ state }) => stepIsTerminal(state));
          assert.ok(step);
          if (move.kind === "start") {
            assert.ok(!started.has(step.id), "started twice");
            started.add(step.id);
            const needs = steps.find(({ id }) => id === step.id)?.needs ?? [];
            assert.ok(needs.every((need) => run.steps[need]?.state === "done"));
            Object.assign(step, { state: ends.next().value ?? "done", reason: null, result: { output: null } });
          }
          if (move.kind === "settle step") Object.assign(step, { state: move.state, reason: move.reason });
        }
      }
      return false;
    }),
    { numRuns: 300 },
  );
});

const large = (letter: string) => ({ $artifact: letter.repeat(64), size: 300_000, type: "text" as const, preview: "the beginning" });
const file = (letter: string) => ({ file: `artifact:${letter.repeat(64)}`, size: 300_000 });
const specOfOnly = (steps: FlowStep[], changed: Record<string, Partial<StepView>>): TaskSpec => {
  const [move] = advance(view(steps, changed)).moves;
  if (move?.kind === "start") return move.spec;
  if (move?.kind === "open group") {
    const items = advance(view(steps, changed)).moves[1];
    if (items?.kind === "start items" && items.tasks[0]) return items.tasks[0].spec;
  }
  return assert.fail(JSON.stringify(move));
};
const command = (id: string, needs: string[], more: Partial<FlowStep & { kind: "run" }>): FlowStep => ({
  kind: "run",
  run: "wc",
  ...work,
  ...node(id, needs),
  ...more,
});

test("a large result is given to a command's stdin as it is, without what is for people", () => {
  const steps = [agent("a", []), command("b", ["a"], { stdin: template("${{ steps.a.output }}") })];
  const { preview: _preview, ...reference } = large("a");
  const spec = specOfOnly(steps, { a: done(large("a")) });
  assert.deepEqual(spec.kind === "run" && spec.stdin, reference);
  assert.ok(!("inputs" in spec), "it needs no file");
  assert.deepEqual([...(advance(view(steps, { a: { state: "done", reason: null } })).missing?.results ?? [])], ["a"]);
});

test("large results within what stdin is given, in `with` and in lists are files, each once", () => {
  const inStdin = specOfOnly([agent("a", []), command("b", ["a"], { stdin: template("${{ [steps.a.output, 'x'] }}") })], {
    a: done(large("a")),
  });
  assert.deepEqual(inStdin.kind === "run" && [inStdin.stdin, inStdin.inputs], [[file("a"), "x"], ["a".repeat(64)]]);

  const given = { deep: { map: { list: { list: [{ template: template("${{ steps.a.output }}") }, { plain: 1 }] } } } };
  const env = { FILE: template("${{ with.deep.list[0].file }}"), ALL: template("${{ with.deep }}") };
  const inWith = specOfOnly([agent("a", []), command("b", ["a"], { with: given, env })], { a: done(large("b")) });
  assert.deepEqual(inWith.env, { FILE: file("b").file, ALL: JSON.stringify({ list: [file("b"), 1] }) });
  assert.deepEqual(inWith.inputs, ["b".repeat(64)]);

  const prompt: FlowStep = { ...agent("b", ["a"]), with: given } as FlowStep;
  const inPrompt = specOfOnly([agent("a", []), prompt], { a: done(large("c")) });
  assert.ok(inPrompt.kind === "agent");
  assert.ok(inPrompt.prompt.endsWith(`Data for this step (JSON):\n${JSON.stringify({ deep: { list: [file("c"), 1] } }, null, 2)}`));
  assert.deepEqual(inPrompt.inputs, ["c".repeat(64)]);

  const outputs = {
    state: "done" as const,
    reason: null,
    result: { output: null, outputs: [large("d"), "small", large("d"), large("e")] },
  };
  const folded = specOfOnly([agent("a", []), fold("b", ["a"], "${{ steps.a.outputs }}", "sum up")], { a: outputs });
  assert.ok(
    folded.kind === "agent" &&
      folded.prompt.includes(JSON.stringify([file("d"), "small", file("d"), file("e")], null, 2).replaceAll("\n", "\n  ")),
  );
  assert.deepEqual(folded.inputs, ["d".repeat(64), "e".repeat(64)]);

  const group: FlowStep = {
    ...each("b", ["a"], "${{ steps.a.outputs }}"),
    work: { kind: "run", run: [template("wc"), template("${{ part.file }}")], ...work },
  } as FlowStep;
  const item = specOfOnly([agent("a", []), group], { a: { ...outputs, result: { output: null, outputs: [large("d")] } } });
  assert.deepEqual(item.kind === "run" && [item.run, item.inputs], [["wc", file("d").file], ["d".repeat(64)]]);
});

test("an expression sees a large result as its reference, and a step without any has no inputs", () => {
  const seen = specOfOnly([agent("a", []), agent("b", ["a"], "it has ${{ steps.a.output.size }} bytes")], { a: done(large("a")) });
  assert.ok(seen.kind === "agent" && seen.prompt === "it has 300000 bytes");
  assert.ok(!("inputs" in seen));
});
