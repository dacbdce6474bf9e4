import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { agentWith, makeAgentBench, type AgentBench } from "../../../test/support/agent-bench.ts";
import { brokerAccess } from "../../../test/support/model-bench.ts";
import { until } from "../../../test/support/processes.ts";
import type { AppError } from "../../errors.ts";
import type { AgentConnection, AgentEvent, Outcome } from "../backend.ts";
import { backendSuite } from "../backend.suite.ts";
import { commandBackend } from "./command.ts";
import { argvWith } from "./command-argv.ts";

/** Does what the lines of its input say. */
const obedient = `input=$(cat)
printf '%s\\n' "$input" | while IFS= read -r line; do
  case $line in
    "SAY "*) printf '%s\\n' "\${line#SAY }" ;;
    "WRITE "*) rest=\${line#WRITE }; printf '%s' "\${rest#*: }" > "\${rest%%: *}"; echo written ;;
    "FAIL "*) echo "first line" >&2; echo "error: \${line#FAIL }" >&2; exit 3 ;;
    "LIMIT"*) echo "429 Too Many Requests" >&2; exit 1 ;;
    "HANG "*) printf '%s' "$line" > "$HOME/hanging"; sleep 600 ;;
    "LEAVE") setsid sleep 600 & echo left ;;
    "RECALL") printf '%s\\n' "$input" ;;
  esac
done`;

const never = new AbortController().signal;
const broker = brokerAccess({ url: "http://127.0.0.1:9", token: "session-token-of-the-test", model: "mock-model" });

backendSuite("a command with its prompt by stdin", async () => {
  const bench = await makeAgentBench(agentWith("command", { command: ["sh", "-c", obedient] }), { broker });
  const hanging = join(bench.home, "hanging");
  return {
    backend: commandBackend,
    cwd: bench.cwd,
    spec: bench.spec,
    prompts: {
      say: (text) => `SAY ${text}`,
      write: (file, content) => `WRITE ${file}: ${content}`,
      ask: null,
      fail: (text) => `FAIL ${text}`,
      limit: "LIMIT",
      hang: (word) => `HANG ${word}`,
      recall: "RECALL",
    },
    hanging: (word) => until("it hangs", () => existsSync(hanging) && readFileSync(hanging, "utf8").includes(word)),
    kill: () => void bench.started.at(-1)?.process.stop({ graceMs: 0 }),
    pids: bench.pids,
    environments: bench.environments,
    secrets: ["the provider's key"],
    tools: false,
    close: bench.close,
  };
});

async function take(connection: AgentConnection, prompt: string): Promise<{ events: AgentEvent[]; outcome: Outcome }> {
  const events: AgentEvent[] = [];
  for await (const event of connection.prompt(prompt, never)) events.push(event);
  const last = events.at(-1);
  assert.ok(last?.kind === "outcome");
  return { events, outcome: last.outcome };
}

async function withCommand(
  t: TestContext,
  command: string[],
  force: "group" | null = null,
): Promise<{ connection: AgentConnection; bench: AgentBench }> {
  const bench = await makeAgentBench(agentWith("command", { command, env: { EXTRA: "given", PATH: "/nowhere", HOME: "/nowhere" } }), {
    force,
    broker,
  });
  t.after(() => bench.close());
  const connection = await commandBackend.open(bench.spec(), never);
  t.after(() => connection.close());
  return { connection, bench };
}

suite("the prompt as an argument", () => {
  test("it is one whole item, whatever is in it", async (t) => {
    const { connection, bench } = await withCommand(t, ["printf", "%s|", "before", "{prompt}", "not{prompt}"]);
    const prompt = `$(touch sneaked); \`touch sneaked\` "' && {prompt}\nnext`;
    assert.deepEqual((await take(connection, prompt)).outcome, { kind: "done", output: `before|${prompt}|not{prompt}|` });
    assert.deepEqual(readdirSync(bench.cwd), []);
  });

  test("one that begins with a dash is refused, unless -- stands before it", async (t) => {
    const { connection, bench } = await withCommand(t, ["printf", "{prompt}"]);
    assert.partialDeepStrictEqual((await take(connection, "--version")).outcome, { kind: "failed", cause: "protocol", retryable: false });
    assert.equal(bench.started.length, 0);
    assert.deepEqual(argvWith(["x", "--", "{prompt}"], "-v"), { argv: ["x", "--", "-v"], byStdin: false });
    assert.ok("refusal" in argvWith(["x", "--", "{prompt}", "{prompt}"], "-v"));
  });

  test("one that no argument can hold is refused with the way out", () => {
    for (const prompt of ["a\0b", "x".repeat(200_000)]) {
      const given = argvWith(["x", "{prompt}"], prompt);
      assert.match("refusal" in given ? given.refusal : "", /by stdin/);
      assert.deepEqual(argvWith(["x"], prompt), { argv: ["x"], byStdin: true });
    }
  });
});

test("the answer arrives while the program still runs, with characters cut across pieces whole", async (t) => {
  const { connection } = await withCommand(t, [
    "sh",
    "-c",
    `printf 'gr\\303'; sleep 0.1; printf '\\274n'; while [ ! -e go ]; do sleep 0.02; done`,
  ]);
  let text = "";
  for await (const event of connection.prompt("x", never)) {
    if (event.kind === "text") text += event.text;
    if (text === "grün") break;
  }
  assert.equal(text, "grün");
});

test("settings may add to its environment, but not replace the session's own", async (t) => {
  const { connection } = await withCommand(t, ["env"]);
  const { outcome } = await take(connection, "x");
  const lines = (outcome.kind === "done" ? outcome.output : "").split("\n");
  for (const line of ["EXTRA=given", `OPENAI_BASE_URL=${broker.url}/v1`, `OPENAI_API_KEY=${broker.token}`, "OPENAI_MODEL=mock-model"])
    assert.ok(lines.includes(line), line);
  assert.ok(!lines.some((line) => /^(PATH|HOME)=\/nowhere/.test(line)));
});

test("what a program leaves behind neither keeps the turn nor stays", async (t) => {
  for (const force of [null, "group"] as const) {
    const { connection, bench } = await withCommand(t, ["sh", "-c", obedient], force);
    const began = performance.now();
    assert.deepEqual((await take(connection, "LEAVE")).outcome, { kind: "done", output: "left" });
    assert.ok(performance.now() - began < 5000);
    assert.deepEqual(bench.pids(), []);
  }
});

test("a program that does not read its prompt is judged by its exit", async (t) => {
  const { connection } = await withCommand(t, ["true"]);
  assert.deepEqual((await take(connection, "x".repeat(1_000_000))).outcome, { kind: "done", output: "" });
});

test("without a command, or without its program, it cannot be opened", async (t) => {
  for (const settings of [{}, { command: ["./relative"] }, { command: ["no-such-program-at-all"] }, { command: ["{prompt}"] }]) {
    const bench = await makeAgentBench(agentWith("command", settings));
    t.after(() => bench.close());
    await assert.rejects(
      commandBackend.open(bench.spec(), never),
      (error: AppError) => error.code === "agent_unavailable" && error.fix.length > 0,
    );
  }
});
