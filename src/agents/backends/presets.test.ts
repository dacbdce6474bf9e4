import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentSettings } from "../agent.ts";
import { launchOf, presets } from "./presets.ts";

const broker = { url: "http://127.0.0.1:7421", token: "session-token", model: "some-model" };
const session = { broker, permissions: "auto", cwd: "/session/work", model: undefined } as const;

function launch(settings: Partial<AgentSettings>, changed: object = {}): ReturnType<typeof launchOf> {
  const agent = { name: "x", settings: { env: {}, credentials: "key", permissions: "auto", command: ["/bin/sh"], ...settings } };
  const spec = {
    agent: agent as Parameters<typeof launchOf>[0]["agent"],
    broker,
    cwd: "/session/work",
    env: { PATH: "/bin", LANG: "C" },
    home: "/session/home",
    permissions: "auto" as const,
  };
  return launchOf({ ...spec, ...changed });
}

test("goose is sent to the broker with the session's token, and its developer tools are on", () => {
  const { env, files } = presets.goose?.prepare(session) ?? { env: {}, files: [] };
  assert.partialDeepStrictEqual(env, {
    GOOSE_PROVIDER: "openai",
    GOOSE_MODEL: "some-model",
    OPENAI_HOST: "http://127.0.0.1:7421",
    OPENAI_API_KEY: "session-token",
    GOOSE_DISABLE_KEYRING: "1",
    GOOSE_MODE: "auto",
  });
  assert.deepEqual(
    files.map(({ path }) => path),
    [".config/goose/config.yaml"],
  );
  assert.equal(presets.goose?.prepare({ ...session, permissions: "ask" }).env.GOOSE_MODE, "approve");
});

test("opencode knows one provider, the broker, and asks when it should", () => {
  const configOf = (permissions: "ask" | "auto"): unknown =>
    JSON.parse(presets.opencode?.prepare({ ...session, permissions }).env.OPENCODE_CONFIG_CONTENT ?? "");
  assert.partialDeepStrictEqual(configOf("auto"), {
    model: "tutti/some-model",
    small_model: "tutti/some-model",
    enabled_providers: ["tutti"],
    provider: { tutti: { options: { baseURL: "http://127.0.0.1:7421/v1", apiKey: "session-token" } } },
    permission: { edit: "allow", bash: "allow" },
  });
  assert.partialDeepStrictEqual(configOf("ask"), {
    permission: { edit: "ask", bash: "ask" },
    instructions: ["/session/work/AGENTS.md", "/session/work/CLAUDE.md"],
  });
  assert.equal(presets.opencode?.prepare({ ...session, permissions: "ask" }).env.OPENCODE_DISABLE_PROJECT_CONFIG, "1");
});

test("with a login of its own a program gets neither key nor provider, and its folders are left alone", () => {
  for (const preset of Object.values(presets)) {
    const { env, files } = preset.prepare({ ...session, broker: null, model: "its/model" });
    assert.deepEqual(files, []);
    assert.doesNotMatch(JSON.stringify(env), /OPENAI|session-token|tutti/);
    assert.match(JSON.stringify(env), /its\/model/);
  }
});

test("settings add to the environment; what the session and the preset set stays", () => {
  const { env, argv } = launch({
    preset: "goose",
    env: { EXTRA: "1", PATH: "/evil", HOME: "/evil", OPENAI_HOST: "http://evil", LANG: "de" },
  });
  assert.partialDeepStrictEqual(env, { EXTRA: "1", PATH: "/bin", HOME: "/session/home", OPENAI_HOST: "http://127.0.0.1:7421", LANG: "de" });
  assert.deepEqual(argv, ["/bin/sh"]);
});

test("an agent without a preset gets the usual variables of an OpenAI-compatible server", () => {
  assert.partialDeepStrictEqual(launch({}).env, {
    OPENAI_BASE_URL: "http://127.0.0.1:7421/v1",
    OPENAI_API_KEY: "session-token",
    OPENAI_MODEL: "some-model",
  });
  assert.equal("OPENAI_API_KEY" in launch({}, { broker: null }).env, false);
});

test("a name that every object has is no preset", () => {
  assert.throws(() => launch({ preset: "constructor", command: undefined }), /there is no preset "constructor"/);
});
