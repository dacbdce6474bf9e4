import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { agentWith, makeAgentBench, type AgentBench } from "../../../test/support/agent-bench.ts";
import { brokerAccess } from "../../../test/support/model-bench.ts";
import { until } from "../../../test/support/processes.ts";
import type { AgentConnection, AgentEvent, Outcome, PastTurn } from "../backend.ts";
import { backendSuite } from "../backend.suite.ts";
import { commandBackend, makeCommandBackend } from "./command.ts";

const scripted = join(import.meta.dirname, "../../../test/support/acp-agents/threads.sh");
const never = new AbortController().signal;
const broker = brokerAccess({ url: "http://127.0.0.1:9", token: "session-token-of-the-test", model: "mock-model" });
const agent = agentWith("command", { preset: "codex", command: [scripted], credentials: "key", provider: "tests" });

backendSuite("a command with a preset", async () => {
  const bench = await makeAgentBench(agent, { broker });
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
    close: bench.close,
  };
});

interface Taken {
  events: AgentEvent[];
  outcome: Outcome;
  session: string | null;
  tokens: number | null;
}

async function take(connection: AgentConnection, prompt: string): Promise<Taken> {
  const events: AgentEvent[] = [];
  for await (const event of connection.prompt(prompt, never)) events.push(event);
  const last = events.at(-1);
  assert.ok(last?.kind === "outcome");
  const session = events.findLast((event) => event.kind === "session")?.vendorSession ?? null;
  const tokens = events.find((event) => event.kind === "usage")?.usage.inputTokens ?? null;
  return { events, outcome: last.outcome, session, tokens };
}

async function benchFor(t: TestContext): Promise<AgentBench> {
  const bench = await makeAgentBench(agent, { broker });
  t.after(() => bench.close());
  return bench;
}

async function open(
  t: TestContext,
  bench: AgentBench,
  changed: { vendorSession?: string; past?: PastTurn[] } = {},
  backend = commandBackend,
) {
  const connection = await backend.open(bench.spec(changed), never);
  t.after(() => connection.close());
  return connection;
}

suite("a program's own memory", () => {
  test("each turn goes on with the conversation of the one before, and is not told the past again", async (t) => {
    const bench = await benchFor(t);
    const connection = await open(t, bench);
    const first = await take(connection, "SAY one");
    const second = await take(connection, "RECALL");
    assert.equal(second.session, first.session);
    assert.deepEqual(second.outcome, { kind: "done", output: "SAY one|RECALL|" });
    assert.ok(bench.started[1]?.options.argv.includes(first.session ?? "missing"));
  });

  test("after a restart too, by the id that was kept", async (t) => {
    const bench = await benchFor(t);
    const { session } = await take(await open(t, bench), "SAY one");
    const again = await open(t, bench, { vendorSession: session ?? "", past: [{ prompt: "SAY one", output: "one" }] });
    assert.deepEqual((await take(again, "RECALL")).outcome, { kind: "done", output: "SAY one|RECALL|" });
  });

  test("one that it has lost is begun anew with the past given along, and the new id is told", async (t) => {
    const bench = await benchFor(t);
    const { session } = await take(await open(t, bench), "SAY one");
    rmSync(join(bench.home, "threads"), { recursive: true });
    const again = await open(t, bench, { vendorSession: session ?? "", past: [{ prompt: "SAY one", output: "a remembered word" }] });
    const found = await take(again, "RECALL");
    assert.match(found.outcome.kind === "done" ? found.outcome.output : "", /a remembered word/);
    assert.ok(found.session !== null && found.session !== session);
    assert.equal((await take(again, "SAY two")).session, found.session);
  });

  test("a program that was killed before it said a word has not lost it: nothing is done twice", async (t) => {
    const bench = await benchFor(t);
    const connection = await open(t, bench);
    await take(connection, "SAY one");
    const { outcome } = await take(connection, "DIE EARLY");
    assert.partialDeepStrictEqual(outcome, { kind: "failed", cause: "process", retryable: true });
    assert.equal(bench.started.length, 2);
  });
});

test("of a program that tells sums each turn's own tokens are told, and none when the sum before is not known", async (t) => {
  const bench = await benchFor(t);
  const connection = await open(t, bench);
  const first = await take(connection, "SAY one");
  assert.equal(first.tokens, 10);
  assert.equal((await take(connection, "SAY two")).tokens, 10);
  const again = await open(t, bench, { vendorSession: first.session ?? "" });
  assert.equal((await take(again, "SAY three")).tokens, null);
  assert.equal((await take(again, "SAY four")).tokens, 10);
});

test("a turn in which nothing is printed is ended by the watchdog, with a preset and without", async (t) => {
  const bench = await benchFor(t);
  const backend = makeCommandBackend({ silenceMs: 300, killGraceMs: 100 });
  const plain = agentWith("command", { command: ["sh", "-c", "echo begun; sleep 600"] });
  for (const connection of [await open(t, bench, {}, backend), await backend.open(bench.spec({ agent: plain }), never)]) {
    const { outcome } = await take(connection, "HANG on");
    assert.partialDeepStrictEqual(outcome, { kind: "failed", cause: "time", retryable: true });
    await connection.close();
    assert.deepEqual(bench.pids(), []);
  }
});

test("a program that goes on printing is not silent", async (t) => {
  const bench = await benchFor(t);
  const talker = agentWith("command", { command: ["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done"] });
  const connection = await makeCommandBackend({ silenceMs: 400 }).open(bench.spec({ agent: talker }), never);
  t.after(() => connection.close());
  assert.equal((await take(connection, "go")).outcome.kind, "done");
});

test("a line without end is refused, and the program ended", async (t) => {
  const bench = await benchFor(t);
  const { outcome } = await take(await open(t, bench), "LONG");
  assert.partialDeepStrictEqual(outcome, { kind: "failed", cause: "protocol", message: "it sent a line of more than 64 MB" });
  assert.deepEqual(bench.pids(), []);
});

test("the session's token is taken out of what a program says, on stdout and on stderr, with a preset and without", async (t) => {
  const bench = await benchFor(t);
  const connection = await open(t, bench);
  assert.match(JSON.stringify((await take(connection, "LEAK")).outcome), /the key is \[token\]/);
  assert.match(JSON.stringify((await take(connection, "TELL")).outcome), /wrong key \[token\]/);
  const plain = agentWith("command", { command: ["sh", "-c", 'echo "the key is $OPENAI_API_KEY" >&2; exit 4'] });
  const other = await commandBackend.open(bench.spec({ agent: plain }), never);
  t.after(() => other.close());
  assert.match(JSON.stringify((await take(other, "go")).outcome), /the key is \[token\]/);
});
