import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { AppError } from "../errors.ts";
import { AgentSettings, type Agent } from "./agent.ts";
import { checkSettings } from "./check-settings.ts";
import { defaultAgents } from "./defaults.ts";

const openai = { name: "openai", protocol: "openai" } as const;
const anthropic = { name: "anthropic", protocol: "anthropic" } as const;

suite("the agents that a new home starts with", () => {
  const choicesOf = (name: string, providers: Parameters<typeof defaultAgents>[0]): string[] =>
    (defaultAgents(providers).find(({ choices }) => choices[0]?.name === name)?.choices ?? []).map(
      ({ backend, settings }) => `${backend} ${settings.credentials} ${settings.provider ?? "-"}`,
    );

  test("are the demo model, each program once, and the models of each provider", () => {
    const names = defaultAgents([openai, anthropic]).map(({ choices }) => choices[0]?.name);
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(
      defaultAgents([openai, anthropic])
        .filter(({ always }) => always)
        .map(({ choices }) => [choices[0]?.name, choices[0]?.settings.provider]),
      [
        ["demo", "demo"],
        ["model", "openai"],
        ["model-anthropic", "anthropic"],
      ],
    );
    for (const { choices } of defaultAgents([openai])) assert.equal(new Set(choices.map(({ name }) => name)).size, 1);
  });

  test("speak to a program over ACP rather than start it for each turn", () => {
    assert.deepEqual(choicesOf("codex", []), ["acp vendor -", "command vendor -"]);
    assert.deepEqual(choicesOf("pi", []), ["command vendor -"]);
  });

  test("get a key only of a provider whose language the program speaks", () => {
    assert.deepEqual(choicesOf("codex", [anthropic, openai]), ["acp key openai", "command key openai"]);
    assert.deepEqual(choicesOf("gemini", [anthropic, openai]), ["acp vendor -", "command vendor -"]);
  });

  test("use a vendor's login with the vendor's own program only", () => {
    assert.deepEqual(choicesOf("claude", []), ["command vendor -"]);
    assert.deepEqual(choicesOf("claude", [anthropic]), ["acp key anthropic", "command key anthropic"]);
  });
});

suite("settings that could not work are refused", () => {
  const agent = (backend: Agent["backend"], settings: Partial<AgentSettings>): Parameters<typeof checkSettings>[0] => ({
    name: "x",
    backend,
    settings: AgentSettings.parse(settings),
  });
  const refusal = (...given: Parameters<typeof checkSettings>): AppError => {
    try {
      checkSettings(...given);
    } catch (error) {
      assert.ok(error instanceof AppError);
      return error;
    }
    assert.fail("it was not refused");
  };

  test("a preset that is not there, with the one that was meant", () => {
    assert.deepEqual(refusal(agent("acp", { preset: "claude-code" }), []).fix, ['did you mean "claude"?']);
    assert.match(refusal(agent("acp", { preset: "constructor" }), []).fix[0] ?? "", /use one of: claude, codex/);
    assert.match(refusal(agent("acp", { preset: "pi" }), []).fix[0] ?? "", /--backend command/);
  });

  test("a provider that speaks another language than the program, with one that does or the way to one", () => {
    const wanted = agent("command", { preset: "codex", credentials: "key", provider: "anthropic" });
    assert.deepEqual(refusal(wanted, [anthropic, openai]).fix, ['use the provider "openai"']);
    assert.match(refusal(wanted, [anthropic]).fix[0] ?? "", /^tutti providers set openai --protocol openai/);
    assert.match(refusal(wanted, [anthropic]).why ?? "", /"codex" speaks the protocol openai, and the provider anthropic/);
  });

  test("what could work is not: another language's login, a provider to come, a program of one's own", () => {
    for (const settings of [
      { preset: "codex", credentials: "vendor" as const, provider: "anthropic" },
      { preset: "codex", credentials: "key" as const, provider: "later" },
      { preset: "goose", credentials: "key" as const, provider: "anthropic" },
      { command: ["mine"], credentials: "key" as const, provider: "anthropic" },
    ])
      assert.doesNotThrow(() => checkSettings(agent("acp", settings), [anthropic]), JSON.stringify(settings));
  });
});
