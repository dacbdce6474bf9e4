import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileFlow } from "./compile.ts";
import { Flow, type FlowStep } from "./flow.ts";
import { lintText } from "./lint.ts";

type Files = Record<string, string>;
const compile = (source: string, files: Files = {}) =>
  compileFlow(source, { file: "flow.yaml", readFile: (path) => (Object.hasOwn(files, path) ? (files[path] ?? null) : null) });

function flowOf(source: string, files: Files = {}): Flow {
  const { flow, problems } = compile(source, files);
  assert.equal(lintText(problems), "");
  assert.ok(flow);
  assert.deepEqual(Flow.parse(JSON.parse(JSON.stringify(flow))), flow, "what is compiled is what the schema of a flow says");
  return flow;
}
const stepOf = (source: string, files: Files = {}): FlowStep => flowOf(withSteps(source), files).steps.at(-1) ?? assert.fail("no step");

/** The problems as `line:column: message | fix`. */
function problemsOf(source: string, files: Files = {}): string {
  const { flow, problems } = compile(source, files);
  assert.equal(flow, null);
  return problems
    .map(
      ({ at, message, fix }) =>
        `${at.file === "flow.yaml" ? "" : `${at.file}:`}${at.line}:${at.column}: ${message}${fix === null ? "" : ` | ${fix}`}`,
    )
    .join("\n");
}

/** Two steps before those given, so that names exist: `plan` (an agent) and `fix` (a group). */
const before = `name: test
inputs: { issue: { type: string } }
steps:
  - { id: plan, agent: a, prompt: p }
  - { id: fix, each: "\${{ steps.plan.output }}", agent: a, prompt: p }
`;
const withSteps = (steps: string): string => before + steps.replaceAll(/^/gm, "  ");
const stepProblems = (steps: string, files: Files = {}): string => problemsOf(withSteps(steps), files);
/** A refusal with the words that must be in it. */
const refuses = (steps: string, ...words: string[]): void => {
  const found = stepProblems(steps);
  for (const word of words) assert.ok(found.includes(word), `${found}\n does not say: ${word}`);
};
const refusesOnly = (steps: string, ...words: string[]): void => {
  refuses(steps, ...words);
  assert.equal(stepProblems(steps).split("\n").length, 1, stepProblems(steps));
};

test("a flow of every verb compiles to its graph", () => {
  const flow = flowOf(
    `name: all-verbs
description: every verb
inputs:
  issue: { type: string, default: none, description: what }
  parts: { type: array, default: [1, { a: b }] }
budget: { minutes: 45 }
steps:
  - id: plan
    agent: { role: planner, skills: [ts, sql] }
    prompt-file: ./prompts/plan.md
    with: { issue: "\${{ inputs.issue }}", n: [1, true, { x: "a \${{ run.id }}" }] }
    output: schemas/plan.json
    minutes: 5
  - id: fix
    each: "\${{ steps.plan.output.parts }}"
    as: part
    parallel: 3
    agent: fixer
    prompt: "Fix \${{ part.title }} (\${{ index + 1 }}), \${{ with.why }}"
    with: { why: "\${{ part.why }}" }
    env: { PART: "\${{ part.title }}", LEVEL: 3 }
    check: { run: npm test, retry: 2 }
    join: { quorum: 0.8 }
  - id: lint-all
    needs: [plan]
    each: "\${{ inputs.parts }}"
    run: ["npx", "lint", "\${{ item }}"]
    join: any
  - id: merged
    needs: [fix, lint-all]
    fold: "\${{ steps.fix.outputs }}"
    agent: writer
    prompt: "All: \${{ items }}"
  - id: ok
    ask: { who: lead, question: "Merge \${{ size(steps.fix.outputs) }}?", show: { all: "\${{ steps.merged.output }}" }, options: [merge, wait], timeout: 24h, default: wait }
  - id: land
    if: "\${{ steps.ok.answer == 'merge' }}"
    merge: "\${{ steps.fix }}"
    into: release/1.0
    check: npm test
    minutes: 10
  - id: tests
    needs: fix
    if: false
    run: npm test
    from: plan
`,
    { "prompts/plan.md": "Plan ${{ with.issue }}\n", "schemas/plan.json": '{ "type": "object" }' },
  );
  const steps = Object.fromEntries(flow.steps.map((step) => [step.id, step]));
  assert.deepEqual(
    flow.steps.map(({ id, kind, needs }) => [id, kind, needs]),
    [
      ["plan", "agent", []],
      ["fix", "each", ["plan"]],
      ["lint-all", "each", ["plan"]],
      ["merged", "fold", ["fix", "lint-all"]],
      ["ok", "ask", ["merged"]],
      ["land", "merge", ["ok"]],
      ["tests", "run", ["fix"]],
    ],
  );
  assert.equal(flow.minutes, 45);
  assert.deepEqual(flow.inputs, {
    issue: { type: "string", default: "none", description: "what" },
    parts: { type: "array", default: [1, { a: "b" }] },
  });
  assert.deepEqual(steps.plan, {
    id: "plan",
    needs: [],
    if: null,
    at: { file: "flow.yaml", line: 8, column: 5 },
    kind: "agent",
    agent: { role: "planner", skills: ["ts", "sql"] },
    prompt: ["Plan ", { cel: "with.issue" }, "\n"],
    env: {},
    with: {
      issue: { template: [{ cel: "inputs.issue" }] },
      n: { list: [{ plain: 1 }, { plain: true }, { map: { x: { template: ["a ", { cel: "run.id" }] } } }] },
    },
    output: { type: "object" },
    check: null,
    minutes: 5,
    from: null,
  });
  assert.ok(steps.fix?.kind === "each" && steps.fix.work.kind === "agent");
  assert.deepEqual(
    [steps.fix.as, steps.fix.parallel, steps.fix.quorum, steps.fix.work.check],
    ["part", 3, 0.8, { run: "npm test", retry: 2 }],
  );
  assert.deepEqual(steps.fix.work.env, { PART: [{ cel: "part.title" }], LEVEL: ["3"] });
  assert.ok(steps["lint-all"]?.kind === "each" && steps["lint-all"].work.kind === "run");
  assert.deepEqual(steps["lint-all"].work.run, [["npx"], ["lint"], [{ cel: "item" }]]);
  const { quorum } = steps["lint-all"];
  assert.ok(0 < quorum && quorum <= 1 / 1_000_000, "any: one of a million is enough, none is not");
  assert.deepEqual(steps.ok, {
    id: "ok",
    needs: ["merged"],
    if: null,
    at: steps.ok?.at,
    kind: "ask",
    who: "lead",
    question: ["Merge ", { cel: "size(steps.fix.outputs)" }, "?"],
    show: { all: { template: [{ cel: "steps.merged.output" }] } },
    options: ["merge", "wait"],
    timeoutMs: 86_400_000,
    default: "wait",
  });
  assert.deepEqual(steps.land?.kind === "merge" && [steps.land.merge, steps.land.into, steps.land.check, steps.land.minutes], [
    ["fix"],
    "release/1.0",
    { run: "npm test", retry: 0 },
    10,
  ]);
  assert.ok(steps.tests?.kind === "run");
  assert.deepEqual([steps.tests.from, steps.tests.if, steps.tests.run], ["plan", [{ cel: "false" }], "npm test"]);
});

test("what is left out has its default", () => {
  const each = stepOf('- { id: x, each: "${{ steps.plan.output }}", run: "true" }');
  assert.deepEqual(each.kind === "each" && [each.as, each.parallel, each.quorum], ["item", 4, 1]);
  const ask = stepOf("- { id: x, ask: { question: Go? } }");
  assert.deepEqual(ask.kind === "ask" && [ask.who, ask.options, ask.timeoutMs, ask.default, ask.show], [
    "owner",
    ["yes", "no"],
    null,
    null,
    {},
  ]);
  const merge = stepOf("- { id: x, merge: ['${{ steps.fix }}', '${{ steps[\"plan\"] }}'] }");
  assert.deepEqual(merge.kind === "merge" && [merge.merge, merge.into, merge.check, merge.minutes], [["fix", "plan"], null, null, null]);
  const run = stepOf("- { id: x, run: npm test }");
  assert.deepEqual(run.kind === "run" && [run.env, run.with, run.output, run.minutes, run.from], [{}, {}, null, null, null]);
});

test("a step without `needs` waits for the one before it, an empty list for none", () => {
  const needs = flowOf(
    withSteps("- { id: x, run: a }\n- { id: y, needs: [], run: a }\n- { id: z, needs: [plan, plan], run: a }"),
  ).steps.map((step) => step.needs);
  assert.deepEqual(needs, [[], ["plan"], ["fix"], [], ["plan"]]);
});

test("all problems are found at once, each with its place", () => {
  const found = problemsOf(`nam: Test
minutes: -1
steps:
  - id: plan
    agnt: planner
    prompt: "\${{ stes.x }}"
  - id: 2bad
    run: echo \${{ inputs.x }}
  - id: land
    merge: "\${{ steps.paln }}"
`);
  assert.deepEqual(found.split("\n"), [
    "1:1: the key `nam` is not known | did you mean `name`?",
    "1:1: the flow has no name | add `name: my-flow`",
    "2:10: `minutes` must be a number from 0.01 to 10080, this is `-1`",
    "5:5: the key `agnt` is not known in a step | did you mean `agent`?",
    "7:9: `2bad` cannot be the id of a step | use at most 63 letters, digits, _ and -, and a letter or _ first",
    '8:15: `run` is a command line: expressions are refused in it (script injection) | give the value by `env` and write $NAME, or make it a list: run: [program, "${{ ... }}"]',
    "10:12: there is no step `paln` | did you mean `plan`?",
  ]);
});

test("problems are printed one below the other, with the fix under each", () => {
  const { problems } = compile("name: test\nsteps: []\nstep: 1");
  assert.equal(
    lintText(problems),
    "flow.yaml:2:8: the flow has no steps\n  fix: begin each step with `- id: name`\nflow.yaml:3:1: the key `step` is not known\n  fix: did you mean `steps`?",
  );
});

test("YAML that is none is refused with its place, and nothing is guessed from it", () => {
  assert.match(problemsOf("name: [a\nsteps:"), /^2:1: this is no valid YAML/);
  assert.match(problemsOf("a: b: c"), /1:\d+: this is no valid YAML/);
  assert.match(problemsOf("a: !run x"), /1:4: this is no valid YAML: Unresolved tag: !run/);
  assert.match(problemsOf("a: 1\n---\nb: 2"), /no valid YAML.*multiple documents/);
  for (const source of ["", "# nothing", "- a", "text", "3"]) assert.match(problemsOf(source), /a flow must be a mapping/, source);
  assert.match(problemsOf("? [a]\n: b"), /1:3: a key must be text/);
});

test("doubled keys, aliases to nothing and alias bombs are refused with their place", () => {
  assert.match(problemsOf("name: a\nname: b\nsteps: []"), /2:1: the key `name` is given twice, first in line 1/);
  assert.match(problemsOf("name: *a\nsteps: []"), /1:7: .*alias/);
  assert.match(problemsOf("inputs: &a { b: *a }\nsteps: []"), /1:17: .*alias/);
  const bomb = [
    "a: &a [x, x, x, x, x, x, x, x, x]",
    ..."bcdefghi".split("").map((name, index) => `${name}: &${name} [${`*${"abcdefgh"[index] ?? ""},`.repeat(9)}]`),
  ];
  const start = performance.now();
  const source = `name: bomb\nsteps:\n  - id: a\n    agent: a\n    prompt: p\n    with:\n${bomb.map((line) => `      ${line}`).join("\n")}`;
  assert.match(problemsOf(source), /more than 20000 values, by its aliases/);
  assert.match(problemsOf(source.replace("with:", "output:")), /more than 20000 values/);
  assert.ok(performance.now() - start < 15_000);
  const shared = flowOf("name: a\nsteps:\n  - { id: a, run: x, env: &env { A: b } }\n  - { id: b, run: x, env: *env }");
  assert.deepEqual(
    shared.steps.map((step) => step.kind === "run" && step.env),
    [{ A: ["b"] }, { A: ["b"] }],
  );
});

test("large, deep and long files are refused", () => {
  assert.match(problemsOf(`name: a\n# ${"x".repeat(256 * 1024)}`), /1:1: the file is larger than 256 KB/);
  assert.match(problemsOf(`name: a\nx: ${"[".repeat(80)}${"]".repeat(80)}`), /nested deeper than 64/);
  const many = Array.from({ length: 501 }, (_, index) => `  - { id: s${index}, run: x }`).join("\n");
  assert.match(problemsOf(`name: a\nsteps:\n${many}`), /3:3: a flow has at most 500 steps, this one has 501/);
  assert.equal(flowOf(`name: a\nsteps:\n${many.split("\n").slice(1).join("\n")}`).steps.length, 500);
});

test("the list of problems has an end", () => {
  const { problems } = compile(`name: a\nsteps:\n${Array.from({ length: 400 }, () => "  - {}").join("\n")}`);
  assert.equal(problems.length, 201);
  assert.match(problems.at(-1)?.message ?? "", /^and \d+ more problems$/);
  const start = performance.now();
  assert.equal(compile(`name: a\nsteps:\n  - id: a\n    agent: a\n    prompt: "${"${{ x }}".repeat(20_000)}"`).flow, null);
  assert.ok(performance.now() - start < 15_000, `${performance.now() - start} ms`);
});

test("bytes of any kind give problems, never an error", () => {
  const words = [
    "name",
    "steps",
    "id",
    "agent",
    "each",
    "ask",
    "merge",
    "run",
    "with",
    "env",
    "output",
    "if",
    "needs",
    "check",
    "join",
    "as",
    "prompt",
    "inputs",
    "budget",
    "fold",
  ];
  const piece = fc.constantFrom(
    ...words,
    ": ",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "${{ ",
    " }}",
    "steps.a",
    "x",
    "1",
    "'",
    '"',
    "&a ",
    "*a",
    "|",
    ">",
    "#",
    "!",
    "%",
    "\t",
    "\0",
    "null",
    "true",
    ".nan",
    "__proto__",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary", maxLength: 100 }),
        fc.array(piece, { maxLength: 40 }).map((parts) => parts.join("")),
      ),
      (source) => {
        const { flow, problems } = compile(source, { x: source });
        assert.ok(flow !== null || problems.length > 0);
        for (const { at } of problems) assert.ok(at.line >= 1 && at.column >= 1);
      },
    ),
    { numRuns: 500 },
  );
});

/** Values of every kind where they do not belong. */
test("a wrong value at any key gives problems, never an error or a flow that is no flow", () => {
  const odd = fc.constantFrom<unknown>(
    null,
    1,
    -1,
    1.5,
    true,
    "",
    "x",
    "${{ x }}",
    "${{",
    "${{ steps.plan }}",
    [],
    ["x"],
    [null],
    {},
    { x: 1 },
    [[]],
    "a\0b",
    "\u001b[31m",
    { run: 1 },
    { quorum: "x" },
  );
  const good: Record<string, unknown>[] = [
    {
      agent: { name: "a", role: "b", skills: ["c"] },
      prompt: "p",
      with: { a: 1 },
      env: { A: "b" },
      output: {},
      check: { run: "x", retry: 1 },
      minutes: 1,
      from: "plan",
    },
    { each: "${{ steps.plan.output }}", as: "x", parallel: 1, join: "all", run: ["a"] },
    { fold: "${{ steps.fix.outputs }}", agent: "a", "prompt-file": "x" },
    { ask: { who: "x", question: "q", show: { a: 1 }, options: ["a", "b"], timeout: "1h", default: "a" } },
    { merge: "${{ steps.plan }}", into: "main", check: "x", minutes: 1 },
  ];
  const change = fc
    .tuple(fc.constantFrom(...good), fc.nat(20), fc.nat(20), odd, fc.boolean())
    .map(([step, index, inner, value, isDeep]) => {
      const key = Object.keys(step)[index % Object.keys(step).length] ?? "";
      const part = step[key];
      const isMap = typeof part === "object" && part !== null && !Array.isArray(part) && Object.keys(part).length > 0;
      return { ...step, [key]: isDeep && isMap ? { ...part, [Object.keys(part)[inner % Object.keys(part).length] ?? ""]: value } : value };
    });
  fc.assert(
    fc.property(change, (step) => {
      const { flow, problems } = compile(withSteps(`- ${JSON.stringify({ id: "last", ...step })}`), { x: "p" });
      if (flow === null) assert.ok(problems.length > 0);
      else Flow.parse(flow);
    }),
    { numRuns: 500 },
  );
});

test("what a file says cannot steer a terminal through a message", () => {
  const found = problemsOf('name: a\n"\\e[2Jx\\u202e": 1\nsteps: [{ id: a, run: x }]');
  assert.match(found, /\\u001b\[2Jx\\u202e/);
  assert.ok(!found.includes("\u001b") && !found.includes("\u202e"));
});

test("the top of a flow: names, inputs and budgets", () => {
  const top = (text: string): string => problemsOf(`${text}\nsteps: [{ id: a, run: x }]`);
  assert.match(top("name: My Flow"), /1:7: `My Flow` cannot be the name of a flow/);
  assert.match(top("name: 3"), /1:7: `name` must be text, this is a number \| put it in quotes: "3"/);
  assert.match(top("name:"), /`name` must be text, this is empty/);
  assert.match(top('name: ""'), /`name` is empty/);
  assert.match(top("name: a\ndescription: [a]"), /`description` must be text/);
  assert.match(top("name: a\ninputs: [a]"), /`inputs` must be a mapping/);
  assert.match(
    top("name: a\ninputs: { x: string }"),
    /2:14: `inputs\.x` must be a mapping, this is text \| write it as `\{ type: string \}`/,
  );
  assert.match(top("name: a\ninputs: { x: { type: strin } }"), /2:22: there is no type `strin` \| did you mean `string`\?/);
  assert.match(top("name: a\ninputs: { x: { typ: string } }"), /the key `typ` is not known in `inputs\.x` \| did you mean `type`/);
  assert.match(
    top("name: a\ninputs: { x: { type: number, default: many } }"),
    /2:39: the default of `inputs\.x` must be of type number, this is string/,
  );
  assert.match(top('name: a\ninputs: { x: { default: "${{ 1 }}" } }'), /cannot have expressions/);
  assert.match(top("name: a\ninputs: { x: { type: number, default: .nan } }"), /`\.nan` is no number that JSON knows/);
  for (const name of ["a b", "__proto__", "1a"])
    assert.match(top(`name: a\ninputs: { ${name}: {} }`), /cannot be the name of an input|is not allowed/, name);
  assert.match(top("name: a\nbudget: { usd: 3 }"), /2:11: `budget\.usd` is not available in this version.*budgets in money come later/);
  assert.match(top("name: a\nbudget: 3"), /`budget` must be a mapping/);
  assert.match(top("name: a\nminutes: 3\nbudget: { minutes: 4 }"), /3:11: .*say the same twice/);
  assert.match(top("name: a\nbudget: { minutes: 99999 }"), /`budget\.minutes` must be a number from 0\.01 to 10080/);
  assert.match(problemsOf("name: a"), /the flow has no steps/);
  assert.match(problemsOf("name: a\nsteps: { a: b }"), /`steps` must be a list/);
  assert.match(problemsOf("name: a\nsteps: [run]"), /2:9: `step` must be a mapping, this is text/);
});

test("a step has exactly one verb, and verbs that are not built yet are refused by name", () => {
  refusesOnly("- id: x", "6:5: the step has no verb");
  refusesOnly("- { id: x, agent: a, prompt: p, run: y }", "this one has `agent` and `run`");
  refusesOnly("- { id: x, merge: '${{ steps.fix }}', ask: { question: q } }", "this one has `ask` and `merge`");
  refuses("- { id: x, each: '${{ steps.plan.output }}', agent: a, prompt: p, run: y }", "this one has `agent` and `run`");
  refusesOnly("- { id: x, each: '${{ steps.plan.output }}' }", "`each` needs `agent` or `run`");
  refusesOnly("- { id: x, fold: '${{ steps.fix.outputs }}' }", "`fold` needs an `agent`");
  refusesOnly("- { id: x, fold: '${{ steps.fix.outputs }}', agent: a, prompt: p, run: y }", "`fold` and `run`");
  for (const verb of ["repeat", "branch", "call", "wait", "emit", "arena", "try"])
    refusesOnly(`- { id: x, ${verb}: y }`, `6:14: \`${verb}\` is not available in this version`);
});

test("keys that are not known, or have no meaning beside the verb, are named", () => {
  refusesOnly("- { id: x, agnet: a }", "the key `agnet` is not known in a step | did you mean `agent`?");
  refusesOnly("- { id: x, run: a, promt: b }", "the key `promt` is not known in a step");
  refusesOnly("- { id: x, run: a, timeout-minutes: 3 }", "the key `timeout-minutes` is not known");
  refusesOnly("- { id: x, ask: { question: q }, env: {} }", "`env` has no meaning beside `ask`");
  refusesOnly("- { id: x, run: a, check: b }", "`check` has no meaning beside `run`", "it fails when its command does");
  refusesOnly("- { id: x, each: '${{ steps.plan.output }}', run: a, check: b }", "`check` has no meaning beside `run`");
  refusesOnly("- { id: x, each: '${{ steps.plan.output }}', run: a, prompt: b }", "a prompt has no meaning beside `run`");
  refusesOnly("- { id: x, run: a, parallel: 3 }", "`parallel` has no meaning beside `run`");
  refusesOnly("- { id: x, agent: { name: a, rol: b }, prompt: p }", "the key `rol` is not known in `agent` | did you mean `role`?");
  refusesOnly("- { id: x, agent: { sticky: a }, prompt: p }", "`sticky` is not available");
  refusesOnly("- { id: x, ask: { question: q, option: [a, b] } }", "did you mean `options`?");
});

test("ids are text of a fixed form, and each is there once", () => {
  refusesOnly("- { run: a }", "the step has no `id`");
  for (const id of ["1", "a b", "-a", "a.b", "''", "[a]", "__proto__", "constructor", "a".repeat(64)])
    refuses(`- { id: ${id}, run: a }`, "6:11: ");
  refusesOnly("- { id: plan, run: a }", "6:11: the id `plan` is given twice, first in line 4");
});

test("agents: a name, or what it must be and can do", () => {
  assert.deepEqual(
    stepOf("- { id: x, agent: {}, prompt: p }").kind === "agent" &&
      (stepOf("- { id: x, agent: {}, prompt: p }") as { agent: unknown }).agent,
    {},
  );
  for (const agent of ["", "''", "3", "[a]", "{ name: 3 }", "{ skills: [3] }", `{ skills: [${"a,".repeat(21)}] }`, `${"a".repeat(101)}`])
    refuses(`- { id: x, agent: ${agent}, prompt: p }`, "`agent");
});

test("an agent has one prompt, in place or in a file below the flow's folder", () => {
  refusesOnly("- { id: x, agent: a }", "an agent needs a prompt");
  refusesOnly("- { id: x, agent: a, prompt: '' }", "`prompt` is empty");
  refusesOnly("- { id: x, agent: a, prompt: [a] }", "`prompt` must be text");
  refuses("- { id: x, agent: a, prompt: p, prompt-file: q }", "`prompt` or `prompt-file`, not both");
  refusesOnly("- { id: x, agent: a, prompt-file: prompts/none.md }", "there is no file `prompts/none.md` beside the flow");
  const bad = ["/etc/passwd", "../x", "a/../../x", "a/..", "C:/x", '"a\\\\b"', '"a\\0b"', "a/", ".", "./"];
  for (const path of bad) refuses(`- { id: x, agent: a, prompt-file: ${path} }`, "`prompt-file`");
  const asked: string[] = [];
  compileFlow(withSteps(bad.map((path, index) => `- { id: x${index}, agent: a, prompt-file: ${path} }`).join("\n")), {
    file: "f",
    readFile: (path) => (asked.push(path), "p"),
  });
  assert.deepEqual(asked, [], "no file is even asked for");
  const file = (text: string): string => stepProblems("- { id: x, agent: a, prompt-file: p.md }", { "p.md": text });
  assert.match(file(" \n"), /p\.md:1:1: the prompt is empty/);
  assert.match(file("x".repeat(256_001)), /longer than 256000/);
  assert.match(file("line\nand ${{ inputs.isue }}"), /p\.md:2:9: `inputs\.isue` is not known \| did you mean `issue`\?/);
  assert.match(file("line\nand ${{ inputs. }}"), /p\.md:2:\d+: the expression `inputs\.` is wrong/);
  const { problems } = compileFlow(withSteps("- { id: x, agent: a, prompt-file: ./a/p.md }"), {
    file: "flows/here/flow.yaml",
    readFile: () => "${{ x }}",
  });
  assert.equal(problems[0]?.at.file, "flows/here/a/p.md");
});

test("command lines have no expressions in them, whichever way they come", () => {
  refusesOnly("- { id: x, run: 'echo ${{ inputs.issue }}' }", "script injection");
  refusesOnly("- { id: x, agent: a, prompt: p, check: 'test ${{ inputs.issue }}' }", "`check` is a command line");
  refusesOnly("- { id: x, agent: a, prompt: p, check: { run: 'test ${{ inputs.issue }}' } }", "`check.run` is a command line");
  refusesOnly("- { id: x, merge: '${{ steps.fix }}', check: 'test ${{ inputs.issue }}' }", "script injection");
  for (const shell of ["sh, -c", "/bin/bash, -ec", "env, bash, -c", "zsh, -x, -c"])
    refusesOnly(`- { id: x, run: [${shell}, 'echo \${{ inputs.issue }}'] }`, "script of a shell");
  stepOf("- { id: x, run: [sh, -c, 'echo \"$1\"', sh, '${{ inputs.issue }}'] }");
  stepOf("- { id: x, run: [grep, -c, '${{ inputs.issue }}'] }");
  refusesOnly("- { id: x, run: [] }", "`run` is empty");
  refusesOnly("- { id: x, run: [a, [b]] }", "`run[1]` must be text");
  refusesOnly("- { id: x, run: { a: b } }", "`run` must be text");
  refusesOnly("- { id: x, agent: a, prompt: p, check: {} }", "`check` has no command");
  refusesOnly("- { id: x, agent: a, prompt: p, check: { run: a, retry: 11 } }", "`check.retry` must be a whole number from 0 to 10");
});

test("variables that Tutti or the loader needs cannot be set", () => {
  for (const name of ["TUTTI_SESSION", "PATH", "Path", "HOME", "LD_PRELOAD", "NODE_OPTIONS"])
    refusesOnly(`- { id: x, run: a, env: { ${name}: b } }`, `the variable \`${name}\` cannot be set`);
  for (const name of ["A-B", "1A", '"A=B"', "''"]) refuses(`- { id: x, run: a, env: { ${name}: b } }`, "is no name for a variable");
  for (const env of ["[a]", "a", "{ A: [b] }", "{ A: }"]) refuses(`- { id: x, run: a, env: ${env} }`, "`env");
  stepOf("- { id: x, run: a, env: { HOMEPAGE: b, LDX: c, _x: true } }");
});

test("an output schema is checked where it is written", () => {
  const step = (output: string): string => `- { id: x, agent: a, prompt: p, output: ${output} }`;
  refusesOnly(step("{ type: objct }"), "6:51: the schema in `output` is wrong", "must be one of");
  refusesOnly(step("[a]"), "`output` must be a file or a schema");
  refusesOnly(step("none.json"), "there is no file `none.json`");
  const file = (text: string): string => stepProblems(step("s.json"), { "s.json": text });
  assert.match(file('{\n  "type": "objct"\n}'), /s\.json:2:11: the schema in `s\.json` is wrong/);
  assert.match(file('{\n  "type": object\n}'), /s\.json:2:11: this is no valid JSON/);
  assert.match(file('{ "type": "obj'), /s\.json:1:\d+: this is no valid JSON/);
  assert.match(file('{ "type": "object", }'), /s\.json:1:1: this is no valid JSON: a comma too many \(line 1\)/);
  assert.match(file("{"), /s\.json:1:2: this is no valid JSON/);
  assert.match(file("[1]"), /s\.json:1:1: a schema must be an object/);
  assert.match(file('{ "pattern": "(a+)+" }'), /can take for ever/);
  assert.deepEqual((stepOf(step("{ type: array, items: { enum: [a, 1, null] } }")) as { output: unknown }).output, {
    type: "array",
    items: { enum: ["a", 1, null] },
  });
});

test("groups: a list, a name for the item, a width and how many must be done", () => {
  const each = (more: string): string => `- { id: x, each: "\${{ steps.plan.output }}", agent: a, prompt: p, ${more} }`;
  refusesOnly("- { id: x, each: [a, b], agent: a, prompt: p }", "`each` must be an expression, this is a list");
  refusesOnly(
    "- { id: x, each: steps.plan.output, agent: a, prompt: p }",
    "`each` must be one expression and nothing else",
    'write it as "${{ steps.plan.output }}"',
  );
  refusesOnly('- { id: x, each: "${{ steps.plan.output }} ", agent: a, prompt: p }', "`each` must be one expression and nothing else");
  refusesOnly(`- { id: x, each: "\${{ 'text' }}", agent: a, prompt: p }`, "`each` must be list, this expression is string");
  stepOf(`- { id: x, each: "\${{ ['a', 'b'] }}", agent: a, prompt: p }`);
  for (const as of ["steps", "inputs", "with", "index", "items", "1a", "a-b", "in", "true", "list", "for", "constructor", "''"])
    refuses(each(`as: ${as}`), "6:");
  for (const width of ["0", "1001", "1.5", "many"])
    refusesOnly(each(`parallel: ${width}`), "`parallel` must be a whole number from 1 to 1000");
  for (const join of ["most", "{ quorum: 0 }", "{ quorum: 1.1 }", "{ quorom: 1 }", "{}", "[all]", "3"])
    refusesOnly(each(`join: ${join}`), "join");
  refusesOnly(each("join: best"), "`join: best` is not available in this version");
  refusesOnly(each("join: al"), "did you mean `all`?");
});

test("questions: options, a time and what counts when nobody answers", () => {
  const ask = (more: string): string => `- { id: x, ask: { question: Go?, ${more} } }`;
  refusesOnly("- { id: x, ask: Go? }", "`ask` must be a mapping");
  refusesOnly("- { id: x, ask: {} }", "`ask` has no question");
  refusesOnly("- { id: x, ask: { question: '' } }", "`ask.question` is empty");
  for (const options of ["[a]", "[]", "[a, a]", "a", "[1, 2]", `[${Array.from({ length: 21 }, (_, n) => `o${n}`).join(",")}]`])
    refuses(ask(`options: ${options}`), "`ask.options");
  for (const time of ["24", "1 h", "-1h", "0s", "91d", "h", "[1h]", "1e3s"])
    refusesOnly(ask(`timeout: ${time}`), "`ask.timeout` must be a time", "write it like 90s, 30m, 24h or 7d");
  assert.deepEqual(
    ["90s", "30m", "1.5h", "7d"].map((time) => (stepOf(ask(`timeout: ${time}`)) as { timeoutMs: unknown }).timeoutMs),
    [90_000, 1_800_000, 5_400_000, 604_800_000],
  );
  refusesOnly(ask("default: y"), "the default `y` is none of the options");
  refusesOnly(ask("default: ys"), "did you mean `yes`?");
  refusesOnly(ask("show: a"), "`ask.show` must be a mapping");
  refusesOnly(ask('show: { a: "${{ with.x }}" }'), "`with` is not known here");
});

test("merges take steps that make changes, into a branch with a name that git allows", () => {
  refusesOnly("- { id: x, merge: fix }", "`merge` must name steps", "write it as ${{ steps.fix }}");
  refusesOnly("- { id: x, merge: '${{ steps.fix.outputs }}' }", "`merge` must name steps");
  refusesOnly("- { id: x, merge: [] }", "`merge` names no step");
  refusesOnly("- { id: x, merge: ['${{ steps.fix }}', '${{ steps.fix }}'] }", "step `fix` is merged twice");
  refusesOnly("- { id: x, merge: '${{ steps.fx }}' }", "there is no step `fx` | did you mean `fix`?");
  refusesOnly("- { id: x, ask: { question: q } }\n- { id: y, merge: '${{ steps.x }}' }", "step `x` makes no change, it is `ask`");
  refusesOnly("- { id: x, merge: '${{ steps.fix }}' }\n- { id: y, merge: '${{ steps.x }}' }", "step `x` makes no change, it is `merge`");
  refusesOnly("- { id: x, merge: '${{ steps.plan }}', needs: [] }", "the change of `plan` is not known here");
  for (const branch of ["-x", "a..b", "a b", "a.lock", "a/", "/a", "a//b", "a:b", "'a~1'", "'a@{1}'", ".a", "'${{ inputs.issue }}'"])
    refusesOnly(`- { id: x, merge: '\${{ steps.fix }}', into: ${branch} }`, "cannot be the name of a branch");
});

test("`from` names an earlier step with one change", () => {
  refusesOnly("- { id: x, run: a, from: pln }", "there is no step `pln` | did you mean `plan`?");
  refusesOnly("- { id: x, run: a, from: fix }", "`fix` is a group");
  refusesOnly("- { id: x, run: a, from: plan, needs: [] }", "add plan to the needs of x");
  refusesOnly("- { id: x, ask: { question: q } }\n- { id: y, run: a, from: x }", "step `x` makes no change");
  refusesOnly("- { id: x, run: a, from: [plan] }", "`from` must be text");
});

test("needs are names of steps, and circles are named", () => {
  refusesOnly("- { id: x, run: a, needs: [pan] }", "6:30: there is no step `pan` | did you mean `plan`?");
  refusesOnly("- { id: x, run: a, needs: { a: b } }", "`needs` must be text");
  refusesOnly("- { id: x, run: a, needs: x }", "the steps wait for each other: x -> x");
  const cycle = problemsOf(
    "name: a\nsteps:\n  - { id: a, run: x, needs: [c] }\n  - { id: b, run: x }\n  - { id: c, run: x }\n  - { id: d, run: '${{ steps.z }}' }",
  );
  assert.match(cycle, /3:5: the steps wait for each other: a -> c -> b -> a/);
  assert.match(cycle, /6:\d+: `run` is a command line/, "the other problems are found too");
  const long = Array.from({ length: 500 }, (_, index) => `  - { id: s${index}, run: x, needs: [s${(index + 1) % 500}] }`).join("\n");
  assert.match(problemsOf(`name: a\nsteps:\n${long}`), /s0 -> s1 -> /);
});

test("names in expressions must be known where they stand", () => {
  const prompt = (text: string): string => `- { id: x, agent: a, prompt: '${text}' }`;
  refusesOnly(prompt("${{ plan.output }}"), "6:37: `plan` is not known | write `steps.plan`");
  refusesOnly(prompt("${{ issue }}"), "write `inputs.issue`");
  refusesOnly(prompt("${{ input.issue }}"), "`input` is not known | did you mean `inputs`?");
  refusesOnly(prompt("${{ inputs.isue }}"), "`inputs.isue` is not known | did you mean `issue`?");
  refusesOnly(prompt("${{ env.HOME }}"), "`env` is not known in expressions | give the value in `with`");
  refusesOnly(prompt("${{ with.a }}"), "`with.a` is not known | nothing is declared in `with`");
  refusesOnly("- { id: x, agent: a, prompt: '${{ with.ab }}', with: { abc: 1 } }", "did you mean `abc`?");
  refusesOnly(prompt("${{ run.name }}"), "`run.name` is not known");
  refusesOnly(prompt("${{ item }}"), "`item` is not known");
  refusesOnly(prompt("${{ items }}"), "`items` is not known here | it is known in the prompt");
  refusesOnly(prompt("${{ index }}"), "`index` is not known here");
  refusesOnly("- { id: x, run: a, if: '${{ with.a == 1 }}', with: { a: 1 } }", "`with` is not known here");
  refusesOnly("- { id: x, run: a, with: { a: 1, b: '${{ with.a }}' } }", "`with` is not known here");
  refusesOnly("- { id: x, run: [a, '${{ nothing }}'] }", "`nothing` is not known");
  stepOf(prompt("${{ [1, 2].map(n, n + 1) }} ${{ has(inputs.issue) }} ${{ run.flow }}"));
});

test("results of steps are read only after they are there, and by the names that they have", () => {
  const prompt = (text: string, more = ""): string => `- { id: x, agent: a, prompt: '${text}'${more} }`;
  refusesOnly(prompt("${{ steps.plam.output }}"), "there is no step `plam` | did you mean `plan`?");
  refusesOnly(
    prompt("${{ steps.plan.output }}", ", needs: []"),
    "the result of `plan` is not known here: `x` does not wait for it | add plan to the needs of x",
  );
  refusesOnly(prompt("${{ steps.x.output }}"), "step `x` cannot read its own result");
  refusesOnly(prompt("${{ steps }}"), "`steps` must be followed by the name of a step");
  refusesOnly(prompt("${{ steps[inputs.issue].output }}"), "`steps` must be followed by the name of a step");
  refusesOnly(prompt("${{ steps.plan.result }}"), "a step has no `result`");
  refusesOnly(prompt("${{ steps.plan.ouput }}"), "did you mean `output`?");
  refusesOnly(prompt("${{ steps.fix.output }}"), "`fix` is a group, it has no single output | write steps.fix.outputs");
  refusesOnly(prompt("${{ steps.plan.outputs }}"), "`plan` is no group, it has one output");
  refusesOnly(prompt("${{ steps.plan.answer }}"), "`plan` asks nobody");
  refuses("- { id: a-b, run: a }\n- { id: y, agent: a, prompt: '${{ steps.a-b.output }}' }", 'write steps["a-b"]');
  stepOf(
    `- { id: a-b, run: a }\n- { id: y, agent: a, prompt: '\${{ steps["a-b"].output }} \${{ steps.plan.state }} \${{ steps.fix.files }}' }`,
  );
  refusesOnly(
    "- { id: x, needs: [later], agent: a, prompt: '${{ steps.fix.outputs }}' }\n- { id: later, needs: [], run: a }",
    "`x` does not wait for it",
  );
  stepOf(
    "- { id: x, needs: [later], agent: a, prompt: '${{ steps.fix.outputs }}' }\n- { id: later, needs: [fix], run: a }\n- { id: last, run: a }",
  );
});

test("a condition is one expression that can be true or false", () => {
  refusesOnly("- { id: x, run: a, if: steps.plan.output }", 'write it as "${{ steps.plan.output }}"');
  refusesOnly("- { id: x, run: a, if: '${{ 1 + 1 }}' }", "`if` must be bool, this expression is int");
  refusesOnly("- { id: x, run: a, if: [a] }", "`if` must be an expression, this is a list");
  stepOf("- { id: x, run: a, if: '${{ steps.plan.output }}' }");
});

test("a mistake in an expression has its own place, in every style of YAML", () => {
  const at = (text: string): string => stepProblems(`- id: x\n  agent: a\n  prompt: ${text}`).split(": ")[0] ?? "";
  assert.equal(at("${{ bad }}"), "8:17");
  assert.equal(at("'${{ bad }}'"), "8:18");
  assert.equal(at('"a ${{ inputs.issue }} é ${{ bad }}"'), "8:42");
  assert.equal(at("|\n    one ${{ inputs.issue }}\n\n    two ${{ bad }} ${{ inputs.issue }}"), "11:15");
  assert.equal(at(">-\n    one\n    ${{ inputs.issue }}\n    two ${{ inputs.issue + bad }}"), "11:30");
  assert.equal(at('"a\\n\\"${{ inputs.issue + bad }}"'), "8:38");
  assert.equal(at('"\\x24{{ bad }}"'), "8:13", "where the text in the file is another, the value has the place");
});

test("the hash is of what the flow means, not of where its parts stand", () => {
  const hash = (source: string): string => flowOf(source).hash;
  const one = hash("name: a\nsteps:\n  - { id: a, run: x, env: { A: b, C: d } }");
  assert.match(one, /^[0-9a-f]{64}$/);
  assert.equal(hash("# a comment\nsteps:\n\n  - run: x\n    env:\n      C: d\n      A: b\n    id: a\nname: a"), one);
  assert.notEqual(hash("name: a\nsteps:\n  - { id: a, run: x, env: { A: b, C: e } }"), one);
  assert.notEqual(hash("name: b\nsteps:\n  - { id: a, run: x, env: { A: b, C: d } }"), one);
});

test("a flow of 500 steps compiles in a moment", () => {
  const source = `name: a\nsteps:\n${Array.from({ length: 500 }, (_, n) => `  - { id: s${n}, agent: a, prompt: "after \${{ ${n === 0 ? "run.id" : `steps.s${n - 1}.output`} }}" }`).join("\n")}`;
  const start = performance.now();
  flowOf(source);
  assert.ok(performance.now() - start < 15_000, `${performance.now() - start} ms`);
});

test("a command may read: its stdin is a text with expressions, of a step by itself and of the items of a group", () => {
  const step = stepOf('- { id: x, run: wc, stdin: "${{ steps.plan.output }}" }');
  assert.deepEqual(step.kind === "run" && step.stdin, [{ cel: "steps.plan.output" }]);
  const group = stepOf('- { id: x, each: "${{ steps.plan.output }}", run: wc, stdin: "${{ item.text }} of ${{ index }}" }');
  assert.ok(group.kind === "each" && group.work.kind === "run" && group.work.stdin?.length === 3);
  const without = stepOf("- { id: x, run: wc }");
  assert.ok(without.kind === "run" && !("stdin" in without), "flows without it keep their hash");
  refusesOnly("- { id: x, agent: a, prompt: p, stdin: text }", "`stdin` has no meaning beside `agent`");
  refusesOnly("- { id: x, each: '${{ steps.plan.output }}', agent: a, prompt: p, stdin: text }", "`stdin` has no meaning beside `agent`");
  refusesOnly("- { id: x, run: wc, stdin: [a] }", "`stdin` must be text");
  refusesOnly("- { id: x, run: wc, stdin: '${{ steps.none.output }}' }", "none");
  refusesOnly("- { id: x, run: wc, stdin: '${{ steps.plan.output' }", "");
});
