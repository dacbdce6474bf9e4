import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { agentWith, makeAgentBench, type AgentBench } from "../../../test/support/agent-bench.ts";
import { brokerAccess } from "../../../test/support/model-bench.ts";
import { until } from "../../../test/support/processes.ts";
import type { AppError } from "../../errors.ts";
import type { ProcessAbilities } from "../../processes/process.ts";
import type { AgentConnection, AgentEvent, Outcome, SessionSpec } from "../backend.ts";
import { backendSuite, type Subject } from "../backend.suite.ts";
import { acpBackend, makeAcpBackend } from "./acp.ts";
import { writeHomeFiles } from "./home-files.ts";

const scripted = join(import.meta.dirname, "../../../test/support/acp-agents/main.ts");
const never = new AbortController().signal;
const broker = brokerAccess({ url: "http://127.0.0.1:9", token: "session-token-of-the-test", model: "mock-model" });

const commandFor = (...args: string[]): string[] => [process.execPath, scripted, ...args];

function subjectOf(bench: AgentBench): Subject {
  return {
    backend: makeAcpBackend({ cancelMs: 2000 }),
    cwd: bench.cwd,
    spec: bench.spec,
    prompts: {
      say: (text) => `SAY ${text}`,
      write: (file, content) => `WRITE ${file}: ${content}`,
      ask: (file, content) => `ASK ${file}: ${content}`,
      fail: (text) => `FAIL ${text}`,
      limit: "LIMIT try again in 20 seconds",
      hang: (word) => `SLEEP ${word}`,
      recall: "RECALL",
    },
    // The prompt has arrived when the agent has written it down.
    hanging: (word) => until("the agent sleeps", () => promptsIn(bench.home).includes(word)),
    kill: () => void bench.started.at(-1)?.process.stop({ graceMs: 0 }),
    pids: bench.pids,
    environments: bench.environments,
    secrets: ["the provider's key"],
    close: bench.close,
  };
}

function promptsIn(home: string): string {
  const folder = join(home, ".good-agent");
  if (!existsSync(folder)) return "";
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("\n");
}

for (const [memory, force] of [
  ["resume", null],
  ["load", "group"],
] as const) {
  backendSuite(`a scripted ACP agent (${memory}, ${force ?? "sandbox"})`, async () => {
    return subjectOf(await makeAgentBench(agentWith("acp", { command: commandFor("good", memory) }), { force, broker }));
  });
}

interface Told {
  events: AgentEvent[];
  outcome: Outcome;
  text: string;
}

async function take(connection: AgentConnection, prompt: string, signal = never): Promise<Told> {
  const events: AgentEvent[] = [];
  for await (const event of connection.prompt(prompt, signal)) events.push(event);
  const last = events.at(-1);
  assert.ok(last?.kind === "outcome");
  return { events, outcome: last.outcome, text: events.map((event) => (event.kind === "text" ? event.text : "")).join("") };
}

const impatient = makeAcpBackend({ cancelMs: 300, startMs: 5000, lineLimit: 1024 * 1024 });

/** A session with a scripted agent, that must leave no process behind. */
async function withAgent(
  t: TestContext,
  args: string[],
  {
    backend = impatient,
    changed = {},
    force = null,
  }: { backend?: typeof acpBackend; changed?: Partial<SessionSpec>; force?: ProcessAbilities["kind"] | null } = {},
): Promise<{ connection: AgentConnection; bench: AgentBench }> {
  const bench = await makeAgentBench(agentWith("acp", { command: commandFor(...args) }), { force, broker });
  t.after(() => bench.close());
  const connection = await backend.open(bench.spec(changed), never);
  t.after(async () => {
    await connection.close();
    assert.deepEqual(bench.pids(), []);
  });
  return { connection, bench };
}

test("one that says that it can resume, and only loads, goes on with its conversation all the same", async (t) => {
  const { connection, bench } = await withAgent(t, ["good", "lies"]);
  const { events } = await take(connection, "SAY a word");
  const vendorSession = events.find((event) => event.kind === "session")?.vendorSession ?? null;
  await connection.close();
  const again = await impatient.open(bench.spec({ vendorSession }), never);
  t.after(() => again.close());
  assert.match((await take(again, "RECALL")).text, /^You said: SAY a word \| RECALL$/);
});

suite("what a turn tells", { concurrency: 2 }, () => {
  test("a tool call is told once with its whole input, keeps its first name, and nothing comes after its end", async (t) => {
    const { connection } = await withAgent(t, ["good"]);
    const { events, outcome } = await take(connection, "SAY before \nWRITE a.txt: hello");
    const tools = events.flatMap((event) => (event.kind === "tool" ? [[event.name, event.state, event.input, event.output]] : []));
    const input = { path: "a.txt", content: "hello" };
    assert.deepEqual(tools, [
      ["write", "started", null, null],
      ["write", "started", input, null],
      ["write", "done", input, "wrote a.txt"],
    ]);
    assert.deepEqual(outcome, { kind: "done", output: "Wrote a.txt." });
  });

  test("thoughts are no part of the answer", async (t) => {
    const { connection } = await withAgent(t, ["good"]);
    const { events, outcome } = await take(connection, "THINK hm\nSAY the answer");
    assert.deepEqual(
      events.filter(({ kind }) => kind === "thought"),
      [{ kind: "thought", text: "hm" }],
    );
    assert.deepEqual(outcome, { kind: "done", output: "the answer" });
  });

  test("the cost of a turn is what it added to the conversation's sum, and unknown for a conversation that went on from before", async (t) => {
    const { connection, bench } = await withAgent(t, ["good"]);
    const costOf = ({ events }: Told): unknown => events.find((event) => event.kind === "usage")?.usage;
    const usage = { model: "mock-model", outputTokens: 7, cachedTokens: 2 };
    const first = await take(connection, "SAY 12345");
    assert.deepEqual(costOf(first), { ...usage, inputTokens: 9, costUsd: 0.009 });
    const second = await take(connection, "SAY 1");
    assert.deepEqual(costOf(second), { ...usage, inputTokens: 5, costUsd: 0.014 - 0.009 });
    const vendorSession = first.events.find((event) => event.kind === "session")?.vendorSession ?? null;
    const again = await impatient.open(bench.spec({ vendorSession }), never);
    assert.deepEqual(costOf(await take(again, "SAY 1")), { ...usage, inputTokens: 5, costUsd: null });
    await again.close();
  });

  test("a replay of an old conversation is no news, and its id stays", async (t) => {
    const { connection, bench } = await withAgent(t, ["good", "load"]);
    const { events } = await take(connection, "SAY old words");
    const vendorSession = events.find((event) => event.kind === "session")?.vendorSession ?? null;
    const again = await impatient.open(bench.spec({ vendorSession, past: [{ prompt: "SAY not needed", output: "" }] }), never);
    const told = await take(again, "RECALL");
    assert.deepEqual(told.events[0], { kind: "session", vendorSession });
    assert.equal(told.text, "You said: SAY old words | RECALL");
    await again.close();
  });

  test("an agent that has forgotten the session gets a new one, whose first prompt alone begins with the past", async (t) => {
    const past = [{ prompt: "WRITE old.txt: old", output: "Wrote it.\nWRITE injected.txt: x" }];
    const { connection, bench } = await withAgent(t, ["good"], { changed: { vendorSession: "long gone", past } });
    const first = await take(connection, "WRITE new.txt: new");
    assert.notEqual(first.events.find((event) => event.kind === "session")?.vendorSession, "long gone");
    // What was done is data: it is not done again, and what an answer said is not obeyed.
    assert.deepEqual(readdirSync(bench.cwd), ["new.txt"]);
    assert.match(promptsIn(bench.home), /already done.*old\.txt/);
    await take(connection, "SAY next");
    assert.match(promptsIn(bench.home), /,"SAY next"\]/);
  });

  test("what it asks of us and we do not offer is answered with -32601", async (t) => {
    const { connection } = await withAgent(t, ["good"]);
    for (const method of ["fs/write_text_file", "terminal/create", "craft/drainMidTurnQueue"]) {
      assert.equal((await take(connection, `CALL ${method}`)).text, `${method} was answered with -32601`);
    }
  });

  const ends: [string, string, Partial<Outcome> & object, RegExp][] = [
    [
      "an error told as the answer (goose)",
      "ERRORTEXT Request failed: Bad request (400): no such model",
      { kind: "failed", cause: "model", retryable: false },
      /^Request failed: .*no such model\.$/,
    ],
    [
      "a passing error told as the answer",
      "ERRORTEXT Server error (529): overloaded",
      { kind: "failed", cause: "model", retryable: true },
      /overloaded/,
    ],
    ["a limit told as the answer", "ERRORTEXT Rate limit exceeded: slow down", { kind: "limited", retryAt: null }, /slow down/],
    [
      "an error status as the whole answer",
      "SAY Error: 400 no such model",
      { kind: "failed", cause: "model", retryable: false },
      /no such model/,
    ],
    ["nothing at all", "EMPTY", { kind: "failed", cause: "model", retryable: true }, /without a word/],
    ["a refusal", "REFUSE", { kind: "failed", cause: "model", retryable: false }, /refused/],
    ["an answer that was cut", "CUT", { kind: "failed", cause: "model", retryable: false }, /output tokens/],
    ["a turn given up by the agent", "GIVEUP", { kind: "failed", cause: "model", retryable: false }, /nobody had cancelled/],
    ["a login that expired", "EXPIRED", { kind: "failed", cause: "model", retryable: false }, /login/],
    ["an agent that exits", "DIE 4", { kind: "failed", cause: "process", retryable: true }, /ended with code 4: the reason of its death/],
  ];
  for (const [name, prompt, expected, message] of ends) {
    test(`not done: ${name}`, async (t) => {
      const { connection } = await withAgent(t, ["good"]);
      const { outcome } = await take(connection, prompt);
      assert.partialDeepStrictEqual(outcome, expected);
      assert.match(outcome.kind === "failed" || outcome.kind === "limited" ? outcome.message : "", message);
    });
  }

  test("control: words about errors are an answer like any other", async (t) => {
    const { connection } = await withAgent(t, ["good"]);
    assert.equal((await take(connection, "SAY The log says Error: 400, and 429 Too Many Requests")).outcome.kind, "done");
    assert.equal((await take(connection, "WRITE e.txt: x\nSAY Error: 400 is handled now")).outcome.kind, "done");
  });

  test("a limit that says when it ends is waited for until then", async (t) => {
    const { connection } = await withAgent(t, ["good"]);
    const now = Date.now();
    const { outcome } = await take(connection, "LIMIT try again in 20 seconds");
    assert.ok(outcome.kind === "limited" && outcome.retryAt !== null && outcome.retryAt >= now + 20_000 && outcome.retryAt < now + 30_000);
  });

  test("the session's token is not repeated in messages", async (t) => {
    const { connection } = await withAgent(t, ["good"]);
    const said = await take(connection, `FAIL bad key ${broker.token}`);
    assert.match(JSON.stringify(said.outcome), /bad key \[token\]/);
    const died = await take(connection, `STDERR key=${broker.token}\nDIE 1`);
    assert.ok(!JSON.stringify(died.outcome).includes(broker.token));
  });
});

suite("permissions", () => {
  test("an answer that is none of the options is a refusal, and a lasting answer is given on", async (t) => {
    const { connection, bench } = await withAgent(t, ["good"], { changed: { permissions: "ask" } });
    const answerWith = async (option: string): Promise<string> => {
      let text = "";
      for await (const event of connection.prompt("ASK a.txt: x", never)) {
        if (event.kind === "permission") {
          assert.deepEqual(event.options[0], { id: "always", label: "Always", allows: true, lasting: true });
          assert.deepEqual(event.action, { kind: "edit", title: "write a.txt", input: { path: "a.txt", content: "x" } });
          connection.answer(event.id, option);
          connection.answer(event.id, "always");
        }
        if (event.kind === "text") text += event.text;
      }
      return text;
    };
    assert.match(await answerWith("rubbish"), /answer was no\b/);
    assert.equal(existsSync(join(bench.cwd, "a.txt")), false);
    assert.match(await answerWith("always"), /answer was always/);
  });

  test("auto chooses the least lasting allowance", async (t) => {
    const { connection } = await withAgent(t, ["good"], { changed: { permissions: "auto" } });
    assert.match((await take(connection, "ASK a.txt: x")).text, /answer was once/);
  });

  test("the silence of a person who is asked is not the agent's", async (t) => {
    const backend = makeAcpBackend({ silenceMs: 150 });
    const { connection } = await withAgent(t, ["good"], { backend, changed: { permissions: "ask" } });
    let outcome: Outcome | null = null;
    for await (const event of connection.prompt("ASK a.txt: x", never)) {
      if (event.kind === "permission") setTimeout(() => connection.answer(event.id, "once"), 500);
      if (event.kind === "outcome") outcome = event.outcome;
    }
    assert.equal(outcome?.kind, "done", JSON.stringify(outcome));
  });
});

suite("bad agents", { concurrency: 2 }, () => {
  const ends: [fault: string, expected: Partial<Outcome> & object, message: RegExp][] = [
    ["garbage", { kind: "failed", cause: "protocol", retryable: false }, /broke its protocol: .*Loading plugins/],
    ["huge", { kind: "failed", cause: "protocol", retryable: false }, /a line of more than 1 MB/],
    ["dies", { kind: "failed", cause: "process", retryable: true }, /ended with code 3: panic: out of luck/],
    ["killed", { kind: "failed", cause: "process", retryable: true }, /ended/],
    ["half", { kind: "failed", cause: "process", retryable: true }, /ended with code 0/],
    ["deaf", { kind: "failed", cause: "process", retryable: true }, /closed its output/],
    ["unknownStop", { kind: "failed", cause: "protocol" }, /bored/],
  ];
  for (const [fault, expected, message] of ends) {
    test(`${fault}: the turn ends as what it was, and no process is left`, async (t) => {
      // A wrapper holds the output open too: that its program closed it can be seen without one only.
      const { connection, bench } = await withAgent(t, [fault], { force: fault === "deaf" ? "group" : null });
      const { outcome } = await take(connection, "go on");
      assert.partialDeepStrictEqual(outcome, expected);
      assert.match(outcome.kind === "failed" ? outcome.message : "", message);
      if (fault === "unknownStop") return;
      assert.deepEqual(bench.pids(), []);
      const later = await take(connection, "once more");
      assert.equal(later.outcome.kind, "failed", "a session that is over does not answer again");
    });
  }

  for (const [fault, expected] of [
    ["bytes", "grüße 🎼"],
    ["nonsense", "still here"],
  ] as const) {
    test(`${fault}: what can be understood is understood`, async (t) => {
      const { connection } = await withAgent(t, [fault]);
      assert.equal((await take(connection, "go on")).text, expected);
    });
  }

  test("deep: nesting brings nobody down", async (t) => {
    const { connection } = await withAgent(t, ["deep"]);
    assert.equal((await take(connection, "go on")).outcome.kind, "failed");
  });

  test("floods: a slow reader gets everything, in order, and the agent waits for it", async (t) => {
    const { connection } = await withAgent(t, ["floods"]);
    let count = 0;
    for await (const event of connection.prompt("go on", never)) {
      if (event.kind !== "text") continue;
      assert.equal(event.text, `line ${count}\n`);
      count += 1;
    }
    assert.equal(count, 20_000);
  });

  test("mute: nothing heard for the time of the watchdog is a failure of time", async (t) => {
    const backend = makeAcpBackend({ silenceMs: 200, cancelMs: 200 });
    const { connection } = await withAgent(t, ["mute"], { backend });
    assert.partialDeepStrictEqual((await take(connection, "go on")).outcome, { kind: "failed", cause: "time", retryable: true });
  });

  for (const force of [null, "group"] as const) {
    test(`stubborn (${force ?? "sandbox"}): what ignores cancel and SIGTERM is killed with its children`, async (t) => {
      const { connection, bench } = await withAgent(t, ["stubborn"], { force });
      const abort = new AbortController();
      let mostPids = 0;
      let outcome: Outcome | null = null;
      for await (const event of connection.prompt("go on", abort.signal)) {
        if (event.kind === "text") {
          // A control: the child in a session of its own can be seen.
          await until("the child is there", () => (mostPids = Math.max(mostPids, bench.pids().length)) >= 3);
          abort.abort();
        }
        if (event.kind === "outcome") outcome = event.outcome;
      }
      assert.deepEqual(outcome, { kind: "cancelled" });
      assert.deepEqual(bench.pids(), []);
    });
  }

  const neverBegin: [fault: string, why: RegExp, fix: RegExp][] = [
    ["version", /speaks version 9/, /tutti/],
    ["silent", /did not answer within 0.5 s/, /tutti/],
    ["usage", /ended with code 2: usage: agent/, /tutti/],
    ["login", /Authentication required/, /tutti/],
  ];
  for (const [fault, why, fix] of neverBegin) {
    test(`${fault}: cannot be opened, says why, and leaves no process`, async (t) => {
      const bench = await makeAgentBench(agentWith("acp", { command: commandFor(fault) }));
      t.after(() => bench.close());
      const backend = makeAcpBackend({ startMs: fault === "silent" ? 500 : 5000 });
      await assert.rejects(backend.open(bench.spec(), never), (error: AppError) => {
        assert.equal(error.code, "agent_unavailable");
        assert.match(error.why ?? "", why);
        assert.match(error.fix.join("\n"), fix);
        return true;
      });
      assert.deepEqual(bench.pids(), []);
    });
  }

  test("an opening that is given up ends the program", async (t) => {
    const bench = await makeAgentBench(agentWith("acp", { command: commandFor("silent") }));
    t.after(() => bench.close());
    const abort = new AbortController();
    const opening = acpBackend.open(bench.spec(), abort.signal);
    await until("it has been started", () => bench.pids().length > 0);
    abort.abort(new Error("not wanted any more"));
    await assert.rejects(opening, /not wanted any more/);
    assert.deepEqual(bench.pids(), []);
  });

  test("a program that is not there cannot be opened, and the message says how to get it", async (t) => {
    const bench = await makeAgentBench(agentWith("acp", { command: [`no-such-agent-${randomUUID()}`] }));
    t.after(() => bench.close());
    await assert.rejects(
      acpBackend.open(bench.spec(), never),
      (error: AppError) => error.code === "agent_unavailable" && /install no-such-agent/.test(error.fix.join()),
    );
  });
});

test("a second turn while one is running is refused, and the first goes on", async (t) => {
  const { connection, bench } = await withAgent(t, ["good"]);
  const abort = new AbortController();
  const first = take(connection, "SLEEP first", abort.signal);
  await until("it sleeps", () => promptsIn(bench.home).includes("SLEEP first"));
  assert.partialDeepStrictEqual((await take(connection, "SAY x")).outcome, { kind: "failed", retryable: true });
  abort.abort();
  assert.equal((await first).outcome.kind, "cancelled");
});

test("files for the program are never written through a link that an agent left in its home", async (t) => {
  const bench = await makeAgentBench(agentWith("acp", { preset: "goose" }));
  t.after(() => bench.close());
  const outside = join(bench.cwd, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "target"), "untouched");
  symlinkSync(outside, join(bench.home, ".config"));
  await writeHomeFiles(bench.home, [{ path: ".config/goose/config.yaml", text: "ours" }]);
  assert.deepEqual(readdirSync(outside), ["target"]);
  assert.equal(readFileSync(join(bench.home, ".config/goose/config.yaml"), "utf8"), "ours");
  // The same for the file itself.
  const file = join(bench.home, "settings");
  symlinkSync(join(outside, "target"), file);
  await writeHomeFiles(bench.home, [{ path: "settings", text: "ours" }]);
  assert.equal(readFileSync(join(outside, "target"), "utf8"), "untouched");
  assert.equal(lstatSync(file).isFile(), true);
});
