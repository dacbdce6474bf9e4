import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { AgentEvent, Outcome } from "../../backend.ts";
import { readClaude } from "./claude.ts";
import { readCodex } from "./codex.ts";
import { readCopilot } from "./copilot.ts";
import { readGemini } from "./gemini.ts";
import { readGoose } from "./goose.ts";
import { readOpencode } from "./opencode.ts";
import { readPi } from "./pi.ts";
import { since, Told, type Counts, type Line, type StreamReader } from "./told.ts";

// The lines are shaped as the programs printed them (versions in docs/agents.md), without what nobody reads.

const now = Date.parse("2026-11-21T10:00:00Z");
const ok = { code: 0, signal: null };

interface Read {
  events: AgentEvent[];
  outcome: Outcome;
  usage: Counts | null;
  session: string | null;
}

function read(reader: StreamReader, lines: Line[], exit: { code: number | null; signal: NodeJS.Signals | null } = ok, stderr = ""): Read {
  const events: AgentEvent[] = [];
  const told = new Told((event) => events.push(event));
  for (const line of lines) reader(line, told);
  return { events, outcome: told.outcome(exit, stderr, now), usage: told.usage, session: told.vendorSession };
}

const toolsOf = ({ events }: Read): unknown[] =>
  events.flatMap((event) => (event.kind === "tool" ? [[event.name, event.state, event.input, event.output]] : []));
const counts = (inputTokens: number, outputTokens: number, cachedTokens = 0, costUsd: number | null = null): Counts => ({
  inputTokens,
  outputTokens,
  cachedTokens,
  costUsd,
});

suite("codex exec --json", () => {
  const begin = [
    { type: "thread.started", thread_id: "T" },
    { type: "item.completed", item: { id: "item_0", type: "error", message: "Model metadata for `m` not found." } },
    { type: "turn.started" },
  ];
  const shell = { id: "item_2", type: "command_execution", command: "ls", aggregated_output: "", exit_code: null, status: "in_progress" };

  test("what it says after its last tool is the answer; a warning is no error", () => {
    const found = read(readCodex, [
      ...begin,
      { type: "item.completed", item: { id: "item_1", type: "agent_message", text: "I will look." } },
      { type: "item.started", item: shell },
      { type: "item.completed", item: { ...shell, aggregated_output: "a.txt\n", exit_code: 0, status: "completed" } },
      { type: "item.completed", item: { id: "item_3", type: "agent_message", text: "One file." } },
      { type: "turn.completed", usage: { input_tokens: 235, cached_input_tokens: 8, output_tokens: 59 } },
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "One file." });
    assert.deepEqual(toolsOf(found), [
      ["shell", "started", { command: "ls" }, null],
      ["shell", "done", { command: "ls" }, "a.txt\n"],
    ]);
    assert.deepEqual([found.session, found.usage], ["T", counts(235, 59, 8)]);
  });

  test("a command that its sandbox did not let run has failed", () => {
    const found = read(readCodex, [...begin, { type: "item.completed", item: { ...shell, status: "declined" } }]);
    assert.deepEqual(toolsOf(found).at(-1), ["shell", "failed", { command: "ls" }, ""]);
  });

  test("a failed turn is told in the provider's words; a limit is one", () => {
    const message = '{"error":{"message":"no such thing","type":"invalid_request_error"}}';
    const failed = read(readCodex, [...begin, { type: "error", message }, { type: "turn.failed", error: { message } }], {
      code: 1,
      signal: null,
    });
    assert.deepEqual(failed.outcome, { kind: "failed", cause: "model", message, retryable: false });
    const limit = { type: "turn.failed", error: { message: "exceeded retry limit, last status: 429 Too Many Requests" } };
    assert.equal(read(readCodex, [...begin, limit], { code: 1, signal: null }).outcome.kind, "limited");
  });
});

suite("stream-json of Claude Code and Qwen Code", () => {
  const said = (content: unknown[], more = {}) => ({
    type: "assistant",
    session_id: "S",
    parent_tool_use_id: null,
    message: { content },
    ...more,
  });
  const result = { type: "result", subtype: "success", is_error: false, session_id: "S", result: "Done." };

  test("text, tools and their results", () => {
    const found = read(readClaude, [
      { type: "system", subtype: "init", session_id: "S", tools: [] },
      said([
        { type: "thinking", thinking: "hm" },
        { type: "text", text: "I will write." },
      ]),
      said([{ type: "tool_use", id: "c1", name: "Write", input: { file_path: "a" } }]),
      {
        type: "user",
        session_id: "S",
        message: { content: [{ type: "tool_result", tool_use_id: "c1", content: [{ type: "text", text: "written" }] }] },
      },
      said([{ type: "tool_use", id: "c2", name: "Bash", input: { command: "x" } }]),
      {
        type: "user",
        session_id: "S",
        message: { content: [{ type: "tool_result", tool_use_id: "c2", is_error: true, content: "denied" }] },
      },
      said([{ type: "text", text: "Done." }]),
      {
        ...result,
        total_cost_usd: 0.25,
        usage: { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 100, cache_creation_input_tokens: 7 },
      },
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "Done." });
    assert.deepEqual(toolsOf(found), [
      ["Write", "started", { file_path: "a" }, null],
      ["Write", "done", { file_path: "a" }, "written"],
      ["Bash", "started", { command: "x" }, null],
      ["Bash", "failed", { command: "x" }, "denied"],
    ]);
    assert.deepEqual(
      found.events.filter(({ kind }) => kind === "thought"),
      [{ kind: "thought", text: "hm" }],
    );
    assert.deepEqual([found.session, found.usage], ["S", counts(117, 5, 100, 0.25)]);
  });

  test("a result that calls itself a success and is an error is an error", () => {
    const found = read(readClaude, [
      said([{ type: "text", text: "API Error: 400 x" }]),
      { ...result, is_error: true, result: "API Error: 400 x" },
    ]);
    assert.deepEqual(found.outcome, { kind: "failed", cause: "model", message: "API Error: 400 x", retryable: false });
  });

  test("qwen's error stands in a field of its own, in brackets, and its input holds what came from the cache", () => {
    const error = { message: "[API Error: 429 slow down]" };
    const usage = { input_tokens: 9566, output_tokens: 24, cache_read_input_tokens: 66, total_tokens: 9590 };
    const found = read(readClaude, [{ type: "result", subtype: "error_during_execution", is_error: true, session_id: "Q", error, usage }], {
      code: 1,
      signal: null,
    });
    assert.partialDeepStrictEqual(found.outcome, { kind: "limited", message: "API Error: 429 slow down" });
    assert.deepEqual(found.usage, counts(9566, 24, 66));
  });

  test("what a helper of its own says is no answer, and no user's words are", () => {
    const found = read(readClaude, [
      said([{ type: "text", text: "from a helper" }], { parent_tool_use_id: "c1" }),
      { type: "user", session_id: "S", message: { content: [{ type: "text", text: "the prompt" }] } },
      said([{ type: "text", text: "mine" }]),
      result,
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "mine" });
  });
});

suite("gemini --output-format stream-json", () => {
  test("pieces, tools, tokens; the prompt that it repeats is no answer", () => {
    const found = read(readGemini, [
      { type: "init", session_id: "G", model: "m" },
      { type: "message", role: "user", content: "WRITE" },
      { type: "message", role: "assistant", content: "I ", delta: true },
      { type: "message", role: "assistant", content: "write.", delta: true },
      { type: "tool_use", tool_name: "write_file", tool_id: "t", parameters: { file_path: "a" } },
      { type: "tool_result", tool_id: "t", status: "success" },
      { type: "tool_use", tool_name: "shell", tool_id: "u", parameters: {} },
      { type: "tool_result", tool_id: "u", status: "error", error: { type: "x", message: "denied" } },
      { type: "message", role: "assistant", content: "Done.", delta: true },
      { type: "result", status: "success", stats: { total_tokens: 12, input_tokens: 9, output_tokens: 3, cached: 1 } },
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "Done." });
    assert.deepEqual(toolsOf(found).at(-1), ["shell", "failed", {}, "denied"]);
    assert.deepEqual([found.session, found.usage], ["G", counts(9, 3, 1)]);
  });

  test("an error is told, and is lasting when the provider says so", () => {
    const message = '[API Error: {"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]';
    const found = read(readGemini, [{ type: "result", status: "error", error: { type: "unknown", message }, stats: null }], {
      code: 144,
      signal: null,
    });
    assert.deepEqual(found.outcome, { kind: "failed", cause: "model", message, retryable: false });
    const warning = { type: "error", severity: "warning", message: "loop" };
    const said = { type: "message", role: "assistant", content: "fine" };
    assert.equal(read(readGemini, [warning, said, { type: "result", status: "success" }]).outcome.kind, "done");
  });
});

suite("goose run --output-format stream-json", () => {
  const message = (role: string, content: unknown[]) => ({ type: "message", message: { id: "x", role, content } });

  test("pieces, tools, and the sum of the tokens", () => {
    const found = read(readGoose, [
      message("assistant", [{ type: "text", text: "I " }]),
      message("assistant", [{ type: "text", text: "write." }]),
      message("assistant", [
        { type: "toolRequest", id: "c", toolCall: { status: "success", value: { name: "write", arguments: { path: "a" } } } },
      ]),
      message("user", [
        {
          type: "toolResponse",
          id: "c",
          toolResult: { status: "success", value: { content: [{ type: "text", text: "Created" }], isError: false } },
        },
      ]),
      message("assistant", [{ type: "text", text: "Done." }]),
      { type: "complete", total_tokens: 2052, input_tokens: 2016, output_tokens: 36 },
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "Done." });
    assert.deepEqual(toolsOf(found), [
      ["write", "started", { path: "a" }, null],
      ["write", "done", { path: "a" }, "Created"],
    ]);
    assert.deepEqual(found.usage, counts(2016, 36));
  });

  test("an error that it tells as an answer, ending in peace, is an error", () => {
    const text =
      "Ran into this error: Rate limit exceeded: slow down.\n\nPlease retry if you think this is a transient or recoverable error.";
    const found = read(readGoose, [message("assistant", [{ type: "text", text }]), { type: "complete", total_tokens: null }]);
    assert.partialDeepStrictEqual(found.outcome, { kind: "limited", message: "Rate limit exceeded: slow down." });
    assert.equal(found.usage, null);
  });
});

suite("opencode run --format json", () => {
  const part = (type: string, rest: object) => ({ type, sessionID: "ses_1", part: rest });

  test("whole texts, tools that are told of once, tokens of each step", () => {
    const state = { status: "completed", input: { filePath: "a" }, output: "Wrote file successfully." };
    const found = read(readOpencode, [
      part("step_start", { type: "step-start" }),
      part("text", { type: "text", text: "I write." }),
      part("tool_use", { tool: "write", callID: "c", state }),
      part("step_finish", { reason: "tool-calls", tokens: { input: 10, output: 2, cache: { read: 5, write: 0 } }, cost: 0 }),
      part("text", { type: "text", text: "Done." }),
      part("step_finish", { reason: "stop", tokens: { input: 20, output: 1, cache: { read: 0, write: 0 } }, cost: 0.5 }),
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "Done." });
    assert.deepEqual(
      toolsOf(found).map((tool) => (tool as string[])[1]),
      ["started", "done"],
    );
    assert.deepEqual([found.session, found.usage], ["ses_1", counts(35, 3, 5, 0.5)]);
  });

  test("a refused tool has failed; an error carries the status that tells a limit", () => {
    const state = { status: "error", input: {}, error: "The user rejected permission" };
    assert.deepEqual(toolsOf(read(readOpencode, [part("tool_use", { tool: "bash", callID: "c", state })])).at(-1), [
      "bash",
      "failed",
      {},
      state.error,
    ]);
    const error = { type: "error", sessionID: "ses_1", error: { name: "APIError", data: { message: "slow down", statusCode: 429 } } };
    assert.partialDeepStrictEqual(read(readOpencode, [error], { code: 1, signal: null }).outcome, {
      kind: "limited",
      message: "429 slow down",
    });
  });
});

suite("pi --mode json", () => {
  const delta = (text: string) => ({ type: "message_update", assistantMessageEvent: { type: "text_delta", delta: text } });
  const ended = (stopReason: string, more = {}) => ({
    type: "message_end",
    message: { role: "assistant", stopReason, usage: { input: 10, output: 2, cacheRead: 3, cost: { total: 0 } }, ...more },
  });

  test("pieces, tools, tokens of each call", () => {
    const found = read(readPi, [
      { type: "session", version: 3, id: "P", cwd: "/w" },
      { type: "message_end", message: { role: "user", content: [] } },
      delta("I write."),
      ended("toolUse"),
      { type: "tool_execution_start", toolCallId: "c", toolName: "write", args: { path: "a" } },
      {
        type: "tool_execution_end",
        toolCallId: "c",
        toolName: "write",
        result: { content: [{ type: "text", text: "ok" }] },
        isError: false,
      },
      delta("Done."),
      ended("stop"),
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "Done." });
    assert.deepEqual(toolsOf(found).at(-1), ["write", "done", { path: "a" }, "ok"]);
    assert.deepEqual([found.session, found.usage], ["P", counts(26, 4, 6)]);
  });

  test("an error is one though it ends with code 0, unless the next try succeeds", () => {
    const error = ended("error", { errorMessage: '429: {"message":"slow down"}', usage: { input: 0, output: 0, cacheRead: 0 } });
    assert.equal(read(readPi, [error]).outcome.kind, "limited");
    assert.deepEqual(read(readPi, [error, { type: "auto_retry_start", attempt: 1 }, delta("Done."), ended("stop")]).outcome, {
      kind: "done",
      output: "Done.",
    });
  });
});

suite("copilot --output-format json", () => {
  test("a message is said once, whether it comes in pieces or whole", () => {
    const found = read(readCopilot, [
      { type: "assistant.message_delta", data: { messageId: "m1", deltaContent: "I " } },
      { type: "assistant.message_delta", data: { messageId: "m1", deltaContent: "write." } },
      { type: "assistant.message", data: { messageId: "m1", content: "I write." } },
      { type: "tool.execution_start", data: { toolCallId: "c", toolName: "edit", arguments: { path: "a" } } },
      { type: "tool.execution_complete", data: { toolCallId: "c", success: true, result: { content: "ok" } } },
      { type: "assistant.message", data: { messageId: "m2", content: "Done." } },
      { type: "assistant.usage", data: { inputTokens: 10, outputTokens: 2, cacheReadTokens: 1 } },
      { type: "result", sessionId: "C", exitCode: 0 },
    ]);
    assert.deepEqual(found.outcome, { kind: "done", output: "Done." });
    assert.deepEqual(
      found.events.flatMap((event) => (event.kind === "text" ? [event.text] : [])),
      ["I ", "write.", "Done."],
    );
    assert.deepEqual([found.session, found.usage], ["C", counts(10, 2, 1)]);
  });

  test("an error of the session is one", () => {
    const found = read(readCopilot, [{ type: "session.error", data: { errorType: "x", message: "401 Unauthorized" } }], {
      code: 1,
      signal: null,
    });
    assert.deepEqual(found.outcome, { kind: "failed", cause: "model", message: "401 Unauthorized", retryable: false });
  });
});

suite("what every reader keeps", () => {
  const readers = { readClaude, readCodex, readCopilot, readGemini, readGoose, readOpencode, readPi };
  const strange: Line[] = [
    {},
    { type: "unheard-of" },
    { type: 5 },
    { type: "result", usage: { input_tokens: "many" } },
    { type: "message", message: null },
    { type: "item.completed", item: [] },
    { type: "tool_use", part: { tool: {}, callID: 4 } },
    { type: "message_end", message: { role: "assistant", usage: { input: -1 } } },
    { session_id: 7, sessionID: {}, type: "init" },
  ];
  for (const [name, reader] of Object.entries(readers))
    test(`${name} passes over what it does not know`, () => {
      const { events, outcome } = read(reader, strange);
      assert.deepEqual(
        events.filter(({ kind }) => kind === "text" || kind === "tool" || kind === "session"),
        [],
      );
      assert.equal(outcome.kind, "failed", "nothing was said, so nothing was done");
    });

  test("a program that ends badly without a word of its own is a failure of the process, with its last line", () => {
    assert.deepEqual(read(readGoose, [], { code: 3, signal: null }, "no such model file").outcome, {
      kind: "failed",
      cause: "process",
      message: "the program ended with code 3: no such model file",
      retryable: true,
    });
    assert.equal(read(readGoose, [], { code: null, signal: "SIGKILL" }).outcome.kind, "failed");
  });
});

test("a forgotten conversation is told apart from every other end", () => {
  const forgotten = (words: string, code: number | null = 1): boolean =>
    new Told(() => undefined).hasForgotten({ code, signal: null }, words);
  for (const words of [
    "Error: thread/resume: thread/resume failed: no rollout found for thread id 01a1 (code -32600)\n\nStack backtrace:",
    "No session found matching '01a1'",
    'Error resuming session: Invalid session identifier "c4cd"',
    "No saved session found with ID 1111.",
    "Error: No session found with name 'x'\n\nStack backtrace:",
    "Error: Session not found",
    "No conversation found with session ID: 1111",
  ])
    assert.equal(forgotten(words), true, words);
  for (const words of ["", "killed", "not logged in", "connection refused", "no model found"]) assert.equal(forgotten(words), false, words);
  assert.equal(forgotten("No session found", 0), false, "it ended well");
  const busy = new Told(() => undefined);
  busy.text("hello");
  assert.equal(busy.hasForgotten({ code: 1, signal: null }, "No session found"), false, "it has begun to work");
});

test("of a sum only what is new counts, and nothing when the sum before is not known", () => {
  assert.deepEqual(since(counts(100, 10, 5), counts(150, 14, 5)), counts(50, 4, 0));
  assert.equal(since(null, counts(150, 14)), null);
  assert.deepEqual(since(counts(100, 10), counts(90, 12)), counts(0, 2), "it never becomes less");
});
