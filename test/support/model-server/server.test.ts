import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, beforeEach, test } from "node:test";
import { startModelServer, type ModelServer } from "./server.ts";

const writeTool = {
  type: "function",
  function: {
    name: "write",
    description: "",
    parameters: { type: "object", properties: { path: {}, content: {} }, required: ["path", "content"] },
  },
};
const shellTool = { type: "function", function: { name: "developer__shell", parameters: { properties: { command: { type: "string" } } } } };

let server: ModelServer;
before(async () => {
  server = await startModelServer();
});
beforeEach(() => server.setRules([]));
after(() => server.close());

interface ChatAnswer {
  choices: {
    message: { content: string | null; tool_calls?: { function: { name: string; arguments: string } }[] };
    finish_reason: string;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number };
}

function post(path: string, body: unknown): Promise<Response> {
  return fetch(server.url + path, { method: "POST", headers: { authorization: "Bearer k" }, body: JSON.stringify(body) });
}

async function chat(messages: unknown[], more: object = {}): Promise<ChatAnswer> {
  const response = await post("/v1/chat/completions", { model: "mock-model", messages, ...more });
  return (await response.json()) as ChatAnswer;
}

const user = (content: string): object => ({ role: "user", content });

test("a WRITE line becomes a call of the write tool, and its result ends the turn with text", async () => {
  const asked = await chat([user("please\nWRITE a.txt: hello")], { tools: [shellTool, writeTool] });
  const call = asked.choices[0]?.message.tool_calls?.[0];
  assert.equal(call?.function.name, "write");
  assert.deepEqual(JSON.parse(call?.function.arguments ?? ""), { path: "a.txt", content: "hello\n" });
  assert.equal(asked.choices[0]?.finish_reason, "tool_calls");
  const said = await chat([user("WRITE a.txt: hello"), { role: "assistant", content: "" }, { role: "tool", content: "ok" }], {
    tools: [writeTool],
  });
  assert.match(said.choices[0]?.message.content ?? "", /Finished.*ok/);
});

test("without a write tool the shell writes, and quotes cannot break out of the command", async () => {
  const asked = await chat([user("WRITE d/a.txt: it's")], { tools: [shellTool] });
  const { command } = JSON.parse(asked.choices[0]?.message.tool_calls?.[0]?.function.arguments ?? "{}") as { command: string };
  assert.equal(command, `mkdir -p 'd' && printf '%s' 'it'\\''s\n' > 'd/a.txt'`);
});

test("two WRITE lines are two calls, one after the other", async () => {
  const prompt = user("WRITE a.txt: 1\nWRITE b.txt: 2");
  const second = await chat([prompt, { role: "assistant", content: "" }, { role: "tool", content: "ok" }], { tools: [writeTool] });
  assert.match(second.choices[0]?.message.tool_calls?.[0]?.function.arguments ?? "", /b\.txt/);
});

test("a streamed answer comes in pieces with usage only when it was asked for", async () => {
  const streamed = async (more: object): Promise<string> =>
    (await post("/v1/chat/completions", { model: "m", stream: true, messages: [user("SAY: some words")], ...more })).text();
  const plain = await streamed({});
  assert.equal(plain.match(/"content":"[^"]/g)?.length, 3);
  assert.doesNotMatch(plain, /prompt_tokens/);
  assert.match(plain, /data: \[DONE\]/);
  assert.match(await streamed({ stream_options: { include_usage: true } }), /"choices":\[\],"usage":\{"prompt_tokens":\d+/);
});

test("a streamed tool call's arguments add up to the whole", async () => {
  const text = await (await post("/v1/chat/completions", { stream: true, messages: [user("WRITE a.txt: x")], tools: [writeTool] })).text();
  const chunks = [...text.matchAll(/data: (\{.*\})/g)].map(
    (found) => JSON.parse(found[1] ?? "") as { choices: { delta: { tool_calls?: { function: { arguments: string } }[] } }[] },
  );
  const whole = chunks.map((chunk) => chunk.choices[0]?.delta.tool_calls?.[0]?.function.arguments ?? "").join("");
  assert.deepEqual(JSON.parse(whole), { path: "a.txt", content: "x\n" });
});

test("rules: the first that fits answers; a spent rule is passed over; the log names it", async () => {
  server.setRules([
    { name: "once", match: "weather", reply: "rain", times: 1 },
    { name: "then", match: "weather", reply: "sun", usage: { input: 7, output: 3 } },
  ]);
  assert.equal((await chat([user("the weather?")])).choices[0]?.message.content, "rain");
  const second = await chat([user("the weather?")]);
  assert.equal(second.choices[0]?.message.content, "sun");
  assert.equal(second.usage?.prompt_tokens, 7);
  assert.deepEqual(
    server.requests.slice(-2).map(({ rule }) => rule),
    ["once", "then"],
  );
  assert.equal(server.requests.at(-1)?.authorization, "Bearer k");
});

test("rules: errors carry the status, the message and the time to wait; no usage means none", async () => {
  server.setRules([{ match: "busy", error: { status: 429, message: "slow down", retryAfterSeconds: 9 } }, { usage: null }]);
  const busy = await post("/v1/chat/completions", { messages: [user("busy")] });
  assert.equal(busy.status, 429);
  assert.equal(busy.headers.get("retry-after"), "9");
  assert.match(await busy.text(), /slow down/);
  assert.equal((await chat([user("x")])).usage, undefined);
});

test("rules: a held request is answered when it is released", async () => {
  server.setRules([{ name: "later", match: "wait for it", delay: "until released", reply: "now" }]);
  const answer = chat([user("wait for it")]);
  const request = await server.waitFor(({ newest }) => newest === "wait for it");
  assert.equal(request.state, "open");
  assert.equal(server.release("another"), 0);
  assert.equal(server.release("later"), 1);
  assert.equal((await answer).choices[0]?.message.content, "now");
});

test("rules: a broken stream fails at the client; a silent one says nothing until the client goes", async () => {
  server.setRules([
    { match: "break", stream: "broken" },
    { match: "silence", stream: "silent" },
  ]);
  await assert.rejects(async () => (await post("/v1/chat/completions", { stream: true, messages: [user("break")] })).text());
  const abort = new AbortController();
  const silent = await fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ stream: true, messages: [user("silence")] }),
    signal: abort.signal,
  });
  const reader = silent.body?.getReader();
  assert.ok((await reader?.read())?.value);
  abort.abort();
  await server.waitFor(({ newest, state }) => newest === "silence" && state === "cut");
});

test("the Responses API: function calls and text, streamed and whole", async () => {
  const tools = [{ type: "function", name: "shell", parameters: { properties: { command: { type: "array" } } } }];
  const input = [{ role: "user", content: [{ type: "input_text", text: "WRITE a.txt: x" }] }];
  const streamed = await (await post("/v1/responses", { model: "m", stream: true, input, tools })).text();
  assert.match(streamed, /event: response\.function_call_arguments\.done/);
  assert.match(streamed, /event: response\.completed/);
  const more = [...input, { type: "function_call_output", call_id: "c", output: "ok" }];
  const whole = (await (await post("/v1/responses", { model: "m", input: more, tools })).json()) as {
    output: { type: string }[];
    status: string;
  };
  assert.equal(whole.output[0]?.type, "message");
  assert.equal(whole.status, "completed");
});

test("Anthropic Messages: tool use and text, streamed and whole, and counting", async () => {
  const tools = [
    {
      name: "Write",
      description: "absolute path",
      input_schema: { properties: { file_path: {}, content: {} }, required: ["file_path", "content"] },
    },
  ];
  const system = [{ type: "text", text: "Working directory: /tmp/there\n" }];
  const messages = [user("WRITE a.txt: x")];
  const whole = (await (await post("/v1/messages", { model: "m", system, messages, tools })).json()) as {
    content: { type: string; input: unknown }[];
    stop_reason: string;
  };
  assert.equal(whole.stop_reason, "tool_use");
  assert.deepEqual(whole.content.at(-1)?.input, { file_path: "/tmp/there/a.txt", content: "x\n" });
  const after = [...messages, { role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: "ok" }] }];
  const streamed = await (await post("/v1/messages", { model: "m", stream: true, messages: after, tools })).text();
  assert.match(streamed, /event: message_start[\s\S]*text_delta[\s\S]*"stop_reason":"end_turn"[\s\S]*event: message_stop/);
  const counted = (await (await post("/v1/messages/count_tokens", { messages })).json()) as { input_tokens: number };
  assert.ok(counted.input_tokens > 0);
});

test("a server with a key answers 401 without it", async () => {
  const locked = await startModelServer([], { key: "secret" });
  const status = async (headers: Record<string, string>): Promise<number> => (await fetch(`${locked.url}/v1/models`, { headers })).status;
  assert.equal(await status({}), 401);
  assert.equal(await status({ authorization: "Bearer wrong" }), 401);
  assert.equal(await status({ authorization: "Bearer secret" }), 200);
  assert.equal(await status({ "x-api-key": "secret" }), 200);
  await locked.close();
});

test("as a process of its own it prints its address, keeps a log, and ends on SIGTERM", async () => {
  const child = spawn(process.execPath, [`${import.meta.dirname}/main.ts`, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await child.stdout.take(1).toArray()) as Buffer[];
  const url = /^url=(http:\S+)/.exec(String(line))?.[1] ?? "";
  await fetch(`${url}/v1/models`);
  const log = (await (await fetch(`${url}/control/requests`)).json()) as { requests: { path: string }[] };
  assert.deepEqual(
    log.requests.map(({ path }) => path),
    ["/v1/models"],
  );
  const ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  child.kill("SIGTERM");
  assert.equal(await ended, 0);
});

const geminiTool = {
  functionDeclarations: [
    {
      name: "write_file",
      parametersJsonSchema: { type: "object", properties: { file_path: {}, content: {} }, required: ["file_path", "content"] },
    },
  ],
};
const gemini = (method: string, contents: unknown[], more: object = {}): Promise<Response> =>
  fetch(`${server.url}/v1beta/models/gemini-x:${method}`, {
    method: "POST",
    headers: { "x-goog-api-key": "k" },
    body: JSON.stringify({ contents, ...more }),
  });
interface GeminiAnswer {
  candidates: { content: { parts: { text?: string; functionCall?: { name: string; args: object } }[] }; finishReason?: string }[];
  usageMetadata?: { promptTokenCount: number; candidatesTokenCount: number };
  modelVersion: string;
}
const said = (text: string): object => ({ role: "user", parts: [{ text }] });

test("Gemini: a tool is called, its result ends the turn, and the key is seen", async () => {
  const asked = (await (await gemini("generateContent", [said("WRITE a.txt: hello")], { tools: [geminiTool] })).json()) as GeminiAnswer;
  const call = asked.candidates[0]?.content.parts.find((part) => part.functionCall)?.functionCall;
  assert.partialDeepStrictEqual(call, { name: "write_file", args: { file_path: "a.txt", content: "hello\n" } });
  assert.equal(asked.modelVersion, "gemini-x");
  assert.equal(server.requests.at(-1)?.authorization, "k");
  const result = { role: "user", parts: [{ functionResponse: { name: "write_file", response: { output: "ok" } } }] };
  const ended = (await (
    await gemini("generateContent", [said("WRITE a.txt: hello"), result], { tools: [geminiTool] })
  ).json()) as GeminiAnswer;
  assert.match(ended.candidates[0]?.content.parts.map(({ text }) => text).join("") ?? "", /Finished.*ok/);
  assert.ok((ended.usageMetadata?.promptTokenCount ?? 0) > 0);
});

test("Gemini: a stream comes in pieces that end with the reason and the usage; errors are in its own shape; tokens are counted", async () => {
  server.setRules([{ match: "busy", error: { status: 429, message: "slow down" } }]);
  const text = await (await gemini("streamGenerateContent?alt=sse", [said("SAY: some words")])).text();
  const chunks = [...text.matchAll(/data: (\{.*\})/g)].map((found) => JSON.parse(found[1] ?? "") as GeminiAnswer);
  const words = chunks.map((chunk) => chunk.candidates[0]?.content.parts.map((part) => part.text ?? "").join("") ?? "");
  assert.equal(words.join(""), "some words");
  assert.ok(words.filter((piece) => piece !== "").length > 1);
  assert.equal(chunks.at(-1)?.candidates[0]?.finishReason, "STOP");
  assert.ok(chunks.at(-1)?.usageMetadata && chunks.slice(0, -1).every(({ usageMetadata }) => !usageMetadata));
  const busy = await gemini("streamGenerateContent?alt=sse", [said("busy")]);
  assert.deepEqual([busy.status, await busy.json()], [429, { error: { code: 429, message: "slow down", status: "RESOURCE_EXHAUSTED" } }]);
  const counted = (await (await gemini("countTokens", [said("words")])).json()) as { totalTokens: number };
  assert.ok(counted.totalTokens > 0);
});

test("what programs put around a person's words is no part of them", async () => {
  const texts = [
    "[Sat 2026-11-21 08:05 UTC] [Working directory: /w]\n\nSAY hello\n\nRuntime: agent=main | host=vm",
    "<session_context>\nSAY evil\n</session_context>\nSAY hello",
  ];
  for (const text of texts) assert.equal((await chat([user(text)])).choices[0]?.message.content, "hello", text);
  const context = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nSAY evil\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";
  assert.equal((await chat([user("SAY hello"), user(context)])).choices[0]?.message.content, "hello");
});
