import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test, type TestContext } from "node:test";
import type { AgentBackend, AgentConnection, AgentEvent, Outcome, PastTurn, SessionSpec } from "./backend.ts";

/** A backend with an agent that can be told what to do. */
export interface Subject {
  backend: AgentBackend;
  cwd: string;
  /** A session on the same folders each time. */
  spec(changed?: Partial<SessionSpec>): SessionSpec;
  prompts: {
    /** Answers with this text. */
    say(text: string): string;
    write(file: string, content: string): string;
    /** Writes, and with `permissions: "ask"` asks before; null where nothing is ever asked. */
    ask: ((file: string, content: string) => string) | null;
    /** The model answers an error that holds this text. */
    fail(text: string): string;
    /** The provider's limit is reached; null where it cannot be told. */
    limit: string | null;
    /** Never ends by itself; the word tells one such turn from another. */
    hang(word: string): string;
    /** Answers with everything that it was asked before. */
    recall: string | null;
  };
  /** Resolves when the turn of the `hang` prompt with this word is really under way. */
  hanging(word: string): Promise<void>;
  /** SIGKILL to the agent's own process; null for agents without one. */
  kill: (() => void) | null;
  /** The living processes of the session, and their environments. */
  pids(): number[];
  environments(): string[][];
  /** Values that must not be in any of them. */
  secrets: string[];
  /** Whether it tells of its tools. Default: it does. */
  tools?: boolean;
  /** A cancelled turn ends in this time. Default: 8 s. */
  cancelWithinMs?: number;
  close(): Promise<void>;
}

interface Told {
  events: AgentEvent[];
  outcome: Outcome;
  text: string;
}

const never = (): AbortSignal => new AbortController().signal;
const ofParent = "TUTTI_SUITE_PARENT_SECRET";

/**
 * What every backend keeps, with real processes. Cases that an agent's abilities rule out are named in the output, not left out in silence.
 */
export function backendSuite(name: string, make: () => Promise<Subject>): void {
  suite(`${name} as a backend`, () => {
    let subject: Subject;
    before(async () => {
      process.env[ofParent] = randomUUID();
      subject = await make();
    });
    after(async () => {
      delete process.env[ofParent];
      await subject?.close();
    });

    const rule = (sentence: string, run: (t: TestContext) => Promise<void>): void =>
      void test(sentence, { timeout: 90_000 }, async (t) => {
        await run(t);
        assert.deepEqual(subject.pids(), [], "processes are left");
      });

    const notApplicable = (t: TestContext, why: string): void => t.diagnostic(`not applicable to ${name}: ${why}`);

    /** A connection for the time of `use`, closed in any case. */
    const connected = async (use: (connection: AgentConnection) => Promise<void>, changed: Partial<SessionSpec> = {}): Promise<void> => {
      const connection = await subject.backend.open(subject.spec(changed), never());
      try {
        await use(connection);
      } finally {
        await connection.close();
      }
    };

    rule("text arrives, and the last event is an outcome, exactly one", () =>
      connected(async (connection) => {
        const word = randomUUID();
        const { events, outcome, text } = await take(connection, subject.prompts.say(word));
        assert.equal(outcome.kind, "done", JSON.stringify(outcome));
        assert.equal(outcome.kind === "done" && outcome.output.includes(word), true, JSON.stringify(outcome));
        assert.ok(text.includes(word), text);
        assert.equal(events.filter(({ kind }) => kind === "outcome").length, 1);
      }),
    );

    rule("what it writes reaches the working folder, and its tools begin before they end", () =>
      connected(async (connection) => {
        const content = randomUUID();
        const { events, outcome } = await take(connection, subject.prompts.write("written.txt", content));
        assert.equal(outcome.kind, "done", JSON.stringify(outcome));
        assert.equal(readFileSync(join(subject.cwd, "written.txt"), "utf8").trim(), content);
        const tools = events.filter((event) => event.kind === "tool");
        const ended = tools.filter(({ state }) => state === "done");
        assert.equal(ended.length > 0, subject.tools ?? true, JSON.stringify(tools));
        for (const tool of ended) {
          const began = tools.findIndex(({ id, state }) => id === tool.id && state === "started");
          assert.ok(began !== -1 && began < tools.indexOf(tool), JSON.stringify(tools));
        }
      }),
    );

    rule("an error of the model is an outcome that tells it, and the session goes on", () =>
      connected(async (connection) => {
        const word = randomUUID();
        const { outcome } = await take(connection, subject.prompts.fail(word));
        assert.equal(outcome.kind, "failed", JSON.stringify(outcome));
        assert.ok(outcome.kind === "failed" && outcome.message.includes(word), JSON.stringify(outcome));
        const next = await take(connection, subject.prompts.say("again"));
        assert.equal(next.outcome.kind, "done", JSON.stringify(next.outcome));
      }),
    );

    rule("a limit is told apart from a failure", async (t) => {
      const { limit } = subject.prompts;
      if (limit === null) return notApplicable(t, "it cannot be brought to tell of a limit");
      await connected(async (connection) => {
        const { outcome } = await take(connection, limit);
        assert.equal(outcome.kind, "limited", JSON.stringify(outcome));
      });
    });

    rule("a cancelled turn ends as cancelled, in time", () =>
      connected(async (connection) => {
        const abort = new AbortController();
        const word = randomUUID();
        const told = take(connection, subject.prompts.hang(word), { signal: abort.signal });
        await subject.hanging(word);
        const began = performance.now();
        abort.abort();
        const { outcome } = await told;
        assert.equal(outcome.kind, "cancelled", JSON.stringify(outcome));
        const limit = subject.cancelWithinMs ?? 8000;
        assert.ok(performance.now() - began < limit, `took ${performance.now() - began} ms`);
      }),
    );

    rule("a turn that was cancelled before it began does nothing", () =>
      connected(async (connection) => {
        const { outcome } = await take(connection, subject.prompts.write("early.txt", "x"), { signal: AbortSignal.abort() });
        assert.equal(outcome.kind, "cancelled");
        assert.equal(existsSync(join(subject.cwd, "early.txt")), false);
      }),
    );

    rule("a process that dies in the middle of a turn is a failure of the process, not an exception", async (t) => {
      const { kill } = subject;
      if (!kill) return notApplicable(t, "it has no process of its own");
      await connected(async (connection) => {
        const word = randomUUID();
        const told = take(connection, subject.prompts.hang(word));
        await subject.hanging(word);
        kill();
        const { outcome } = await told;
        assert.ok(outcome.kind === "failed" && outcome.cause === "process" && outcome.retryable, JSON.stringify(outcome));
      });
    });

    rule("what a person refuses does not happen, and what is allowed does", async (t) => {
      const { ask } = subject.prompts;
      if (!ask) return notApplicable(t, "it never asks");
      await connected(
        async (connection) => {
          assert.equal(connection.abilities.permissions, true);
          const refused = await take(connection, ask("refused.txt", "no"), { allow: false });
          const asked = refused.events.filter((event) => event.kind === "permission");
          assert.ok(asked.length > 0, `nothing was asked: ${JSON.stringify(refused.events)}`);
          assert.match(JSON.stringify(asked[0]?.action), /refused\.txt/);
          assert.ok(asked[0]?.options.some(({ allows }) => allows));
          assert.equal(existsSync(join(subject.cwd, "refused.txt")), false);
          const allowed = await take(connection, ask("allowed.txt", "yes"), { allow: true });
          assert.equal(allowed.outcome.kind, "done", JSON.stringify(allowed.outcome));
          assert.equal(readFileSync(join(subject.cwd, "allowed.txt"), "utf8").trim(), "yes");
        },
        { permissions: "ask" },
      );
    });

    rule("with permissions auto nobody is asked", async (t) => {
      const { ask } = subject.prompts;
      if (!ask) return notApplicable(t, "it never asks");
      await connected(
        async (connection) => {
          const { events, outcome } = await take(connection, ask("auto.txt", "yes"));
          assert.equal(outcome.kind, "done", JSON.stringify(outcome));
          assert.equal(events.filter(({ kind }) => kind === "permission").length, 0);
          assert.equal(readFileSync(join(subject.cwd, "auto.txt"), "utf8").trim(), "yes");
        },
        { permissions: "auto" },
      );
    });

    rule("a question that nobody answers does not keep a cancelled turn", async (t) => {
      const { ask } = subject.prompts;
      if (!ask) return notApplicable(t, "it never asks");
      await connected(
        async (connection) => {
          const abort = new AbortController();
          const onEvent = (event: AgentEvent): void => void (event.kind === "permission" && abort.abort());
          const { outcome } = await take(connection, ask("unanswered.txt", "no"), { signal: abort.signal, onEvent });
          assert.equal(outcome.kind, "cancelled", JSON.stringify(outcome));
          connection.answer("nobody asked this", "once");
          assert.equal(existsSync(join(subject.cwd, "unanswered.txt")), false);
        },
        { permissions: "ask" },
      );
    });

    rule("it remembers the turn before", async (t) => {
      const { recall, say } = subject.prompts;
      if (recall === null) return notApplicable(t, "it cannot tell what it remembers");
      await connected(async (connection) => {
        const word = randomUUID();
        await take(connection, say(word));
        const { text } = await take(connection, recall);
        assert.ok(text.includes(word), text);
      });
    });

    rule("a session that is opened again goes on with the conversation, by itself or from the past turns", async (t) => {
      const { recall, say } = subject.prompts;
      if (recall === null) return notApplicable(t, "it cannot tell what it remembers");
      const word = randomUUID();
      const past: PastTurn[] = [];
      let vendorSession: string | null = null;
      await connected(async (connection) => {
        const { events, outcome } = await take(connection, say(word));
        vendorSession = events.find((event) => event.kind === "session")?.vendorSession ?? null;
        past.push({ prompt: say(word), output: outcome.kind === "done" ? outcome.output : "" });
        if (connection.abilities.resume) assert.ok(vendorSession, "it can resume, but tells no id");
      });
      await connected(
        async (connection) => {
          const { text, outcome } = await take(connection, recall);
          assert.ok(text.includes(word), `${text} ${JSON.stringify(outcome)}`);
        },
        { vendorSession, past },
      );
    });

    rule("close ends every process, also in the middle of a turn, and is harmless twice", async () => {
      const connection = await subject.backend.open(subject.spec(), never());
      const word = randomUUID();
      const told = take(connection, subject.prompts.hang(word));
      await subject.hanging(word);
      await connection.close();
      await connection.close();
      const { outcome } = await told;
      assert.notEqual(outcome.kind, "done", JSON.stringify(outcome));
      const { outcome: later } = await take(connection, subject.prompts.say("too late"));
      assert.notEqual(later.kind, "done", JSON.stringify(later));
    });

    rule("a reader that leaves a turn ends it", () =>
      connected(async (connection) => {
        for await (const event of connection.prompt(subject.prompts.say("enough"), never())) if (event.kind !== "session") break;
        const { outcome } = await take(connection, subject.prompts.hang("too late"), { signal: AbortSignal.abort() });
        assert.notEqual(outcome.kind, "done");
      }),
    );

    rule("its processes see nothing of our environment and no provider's key", () =>
      connected(async (connection) => {
        const abort = new AbortController();
        const word = randomUUID();
        const told = take(connection, subject.prompts.hang(word), { signal: abort.signal });
        await subject.hanging(word);
        const environments = subject.environments();
        abort.abort();
        await told;
        const all = environments.flat().join("\n");
        // A control: they can be seen at all.
        if (subject.kill) assert.match(all, /^HOME=/m);
        for (const secret of [process.env[ofParent] ?? "missing", ...subject.secrets])
          assert.ok(!all.includes(secret), `${secret} was seen`);
      }),
    );

    rule("the tokens that a turn took are told once, where it says so", (t) =>
      connected(async (connection) => {
        const { events } = await take(connection, subject.prompts.say("count this"));
        if (!connection.abilities.usage) return notApplicable(t, "it does not tell");
        const usages = events.filter((event) => event.kind === "usage");
        assert.equal(usages.length, 1);
        assert.ok((usages[0]?.usage.inputTokens ?? 0) > 0 && (usages[0]?.usage.outputTokens ?? 0) > 0, JSON.stringify(usages));
      }),
    );
  });
}

/** A whole turn; permission questions are answered by `allow` where that is given. */
async function take(
  connection: AgentConnection,
  prompt: string,
  { signal = never(), allow, onEvent }: { signal?: AbortSignal; allow?: boolean; onEvent?: (event: AgentEvent) => void } = {},
): Promise<Told> {
  const events: AgentEvent[] = [];
  for await (const event of connection.prompt(prompt, signal)) {
    events.push(event);
    onEvent?.(event);
    if (event.kind !== "permission" || allow === undefined) continue;
    const option = event.options.find(({ allows, lasting }) => allows && !lasting);
    connection.answer(event.id, allow ? (option?.id ?? null) : null);
  }
  const last = events.at(-1);
  assert.ok(last?.kind === "outcome", `the last event is ${last?.kind}`);
  const text = events.map((event) => (event.kind === "text" ? event.text : "")).join("");
  return { events, outcome: last.outcome, text };
}
