import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { makeBench, oneTurn, type Bench } from "./support/model-bench.ts";
import { modelBackend } from "../src/agents/backends/model.ts";
import { advance, type Move, type RunView, type StepView } from "../src/flows/advance.ts";
import { compileFlow } from "../src/flows/compile.ts";
import type { Flow } from "../src/flows/flow.ts";
import { readOutput } from "../src/tasks/output.ts";
import type { TaskSpec } from "../src/tasks/task.ts";

const examples = fileURLToPath(new URL("../examples", import.meta.url));

function compiled(name: string): Flow {
  const folder = join(examples, "tour");
  const readBeside = (path: string): string | null => (existsSync(join(folder, path)) ? readFileSync(join(folder, path), "utf8") : null);
  const { flow, problems } = compileFlow(readFileSync(join(folder, `${name}.yaml`), "utf8"), {
    file: `${name}.yaml`,
    readFile: readBeside,
  });
  assert.deepEqual(problems, []);
  assert.ok(flow);
  return flow;
}

const viewOf = (flow: Flow, ended: Record<string, Partial<StepView>> = {}): RunView => ({
  id: "R-1",
  flow,
  inputs: {},
  agents: { tour: "demo" },
  base: "base",
  stop: null,
  changes: {},
  items: {},
  steps: Object.fromEntries(flow.steps.map(({ id }) => [id, { id, state: "queued", reason: "needs", ...ended[id] }])),
});

const specsIn = (moves: Move[]): Extract<TaskSpec, { kind: "agent" }>[] =>
  moves
    .flatMap((move) => (move.kind === "start" ? [move.spec] : move.kind === "start items" ? move.tasks.map(({ spec }) => spec) : []))
    .filter((spec) => spec.kind === "agent");

async function copyOfSample(): Promise<Bench> {
  const bench = await makeBench();
  await bench.copy(join(examples, "sample"));
  const git = (...args: string[]): string =>
    execFileSync("git", ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", ...args], { cwd: bench.cwd, encoding: "utf8" });
  git("init", "--quiet");
  git("add", ".");
  git("commit", "--quiet", "-m", "Open the shop");
  return bench;
}

test("the tour's fix-bugs, prompt by prompt: the plan fits its schema, each part passes its own check, the summary names both", async (t) => {
  const flow = compiled("fix-bugs");
  const planning = await copyOfSample();
  t.after(() => planning.close());
  const [plan] = specsIn(advance(viewOf(flow)).moves);
  assert.ok(plan);
  assert.deepEqual(plan.agent, { name: "demo" });
  const planned = await oneTurn(modelBackend, planning.spec(), plan.prompt);
  const read = readOutput(planned.said, plan.output ?? {});
  assert.ok(read.ok, planned.said);

  const fixes = specsIn(advance(viewOf(flow, { plan: { state: "done", reason: null, result: { output: read.value } } })).moves);
  assert.equal(fixes.length, 2);
  const said = await Promise.all(
    fixes.map(async (fix) => {
      const bench = await copyOfSample();
      t.after(() => bench.close());
      const { said: text } = await oneTurn(modelBackend, bench.spec(), fix.prompt);
      const start = {
        cwd: bench.cwd,
        env: { PATH: process.env.PATH ?? "", ...fix.env },
        stdin: "ignore" as const,
        session: null,
        sandbox: null,
      };
      const check = await bench.processes.run(
        { ...start, argv: ["sh", "-c", fix.check?.run ?? "false"], timeoutMs: 20_000 },
        new AbortController().signal,
      );
      assert.equal(check.exit.code, 0, check.output);
      return text;
    }),
  );

  const done = { state: "done" as const, reason: null };
  const steps = {
    plan: { ...done, result: { output: read.value } },
    fix: { ...done, group: { wanted: 2, created: 2, done: 2, failed: 0, cancelled: 0 }, result: { output: null, outputs: said } },
  };
  const [summary] = specsIn(advance(viewOf(flow, steps)).moves);
  const summed = await oneTurn(modelBackend, planning.spec(), summary?.prompt ?? "");
  assert.match(summed.said, /^\[demo\] 2 results:\n- I changed .*src\/prices\.js.*\n- I changed .*src\/stock\.js/);
});

test("the tour's release-notes: the draft changes the CHANGELOG alone, then a person is asked", async (t) => {
  const flow = compiled("release-notes");
  const bench = await copyOfSample();
  t.after(() => bench.close());
  const [draft] = specsIn(advance(viewOf(flow)).moves);
  const { said } = await oneTurn(modelBackend, bench.spec(), draft?.prompt ?? "");
  assert.match(await readFile(join(bench.cwd, "CHANGELOG.md"), "utf8"), /## Unreleased\n\n- Open the shop\n\n## 1\.0\.0/);
  assert.equal(execFileSync("git", ["status", "--short"], { cwd: bench.cwd, encoding: "utf8" }), " M CHANGELOG.md\n");
  const next = advance(viewOf(flow, { draft: { state: "done", reason: null, result: { output: said, files: ["CHANGELOG.md"] } } }));
  assert.equal(next.state, "needs you");
  const ask = next.moves.find((move) => move.kind === "ask");
  assert.deepEqual(ask?.options, ["yes", "no"]);
  assert.deepEqual(ask?.show, { draft: said, files: ["CHANGELOG.md"] });
});

test("the sample's tests fail for its two bugs and for nothing else", () => {
  const run = (file: string): string => {
    try {
      return execFileSync("node", ["--test", "--test-reporter=tap", file], {
        cwd: join(examples, "sample"),
        encoding: "utf8",
        env: { PATH: process.env.PATH },
      });
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  };
  assert.match(run("test/names.test.js"), /# fail 0/);
  assert.match(run("test/prices.test.js"), /# pass 1\n# fail 2/);
  assert.match(run("test/stock.test.js"), /# pass 1\n# fail 1/);
});
