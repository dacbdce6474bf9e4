import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { brokerAccess } from "../../../test/support/model-bench.ts";
import type { Protocol } from "../../models/model.ts";
import type { Agent, AgentSettings } from "../agent.ts";
import { launchOf } from "./launch.ts";
import type { Prepared, PresetSession } from "./presets/preset.ts";
import { meantPreset, presets } from "./presets/table.ts";

const broker = brokerAccess({ url: "http://127.0.0.1:7421", token: "session-token", model: "some-model" });
const of = (protocol: Protocol) => ({ ...broker, protocol, api: protocol === "openai" ? ("chat" as const) : null });
const session: PresetSession = {
  broker,
  permissions: "auto",
  cwd: "/session/work",
  home: "/session/home",
  model: undefined,
  resume: null,
  fresh: "a-new-id",
  port: 7007,
};

function prepare(name: string, kind: "acp" | "command", changed: Partial<PresetSession> = {}): Prepared {
  const way = presets[name]?.[kind];
  assert.ok(way, `${name} has no preset for ${kind}`);
  return way.prepare({ ...session, ...changed });
}

function launch(settings: Partial<AgentSettings>, changed: object = {}, backend: Agent["backend"] = "acp"): ReturnType<typeof launchOf> {
  const agent = { name: "x", backend, settings: { env: {}, credentials: "key", permissions: "auto", command: ["/bin/sh"], ...settings } };
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

const ways = Object.entries(presets).flatMap(([name, preset]) =>
  (["acp", "command"] as const).flatMap((kind) => (preset[kind] ? [{ name, preset, kind }] : [])),
);

suite("what every preset keeps", () => {
  for (const { name, preset, kind } of ways) {
    for (const protocol of preset.protocols) {
      test(`${name} (${kind}) reaches a provider of ${protocol} through the broker, with the session's token and nothing else`, () => {
        const { args, env, files } = prepare(name, kind, { broker: of(protocol) });
        const given = JSON.stringify([env, files]);
        assert.match(given, /http:\/\/127\.0\.0\.1:7421/);
        assert.match(given, /session-token/);
        assert.match(JSON.stringify([args, env, files]), /some-model/);
        assert.doesNotMatch(args.join(" "), /session-token/, "everybody on the machine can read arguments");
        for (const address of given.match(/https?:\/\/[^"\\]+/g) ?? [])
          assert.match(address, /^http:\/\/127\.0\.0\.1:7421|opencode\.ai\/config\.json$/);
      });
    }

    test(`${name} (${kind}) with a login of its own gets neither token nor provider, and its folders are left alone`, () => {
      const { args, env, files } = prepare(name, kind, { broker: null, model: "its/model" });
      for (const { path } of files) assert.ok(!preset.login.some((folder) => path.startsWith(`${folder}/`)), `${path} is the person's`);
      assert.doesNotMatch(JSON.stringify([args, env, files]), /127\.0\.0\.1:7421|session-token|tutti\/some/);
      assert.ok(preset.login.length > 0 && preset.loginFiles.length > 0 && preset.signIn !== "");
      for (const file of preset.loginFiles)
        assert.ok(
          preset.login.some((folder) => file.startsWith(`${folder}/`)),
          `${file} lies in no folder that it is given`,
        );
    });

    test(`${name} (${kind}) may do less when a person wants to be asked`, () => {
      const [asked, auto] = [prepare(name, kind, { permissions: "ask" }), prepare(name, kind)];
      // The two whose adapter asks by itself: there we answer.
      if (kind === "acp" && preset.proprietary) return assert.deepEqual(asked, auto);
      assert.notDeepEqual(asked, auto);
      assert.doesNotMatch(asked.args.join(" "), /yolo|danger|full|acceptEdits|allow-all/);
    });
  }

  for (const { name } of ways.filter(({ kind }) => kind === "command"))
    test(`${name} goes on with a conversation by its id, and begins a new one without`, () => {
      assert.ok(prepare(name, "command", { resume: "old-id" }).args.join(" ").includes("old-id"));
      assert.ok(!prepare(name, "command").args.join(" ").includes("old-id"));
    });
});

suite("single programs", () => {
  test("goose takes the name of the session for its id", () => {
    assert.equal(prepare("goose", "command").vendorSession, "a-new-id");
    assert.equal(prepare("goose", "command", { resume: "old-id" }).vendorSession, "old-id");
    assert.equal(prepare("goose", "acp", { permissions: "ask" }).env.GOOSE_MODE, "approve");
  });

  test("opencode asks when it should, and then reads no settings of the repository", () => {
    const configOf = (permissions: "ask" | "auto"): unknown =>
      JSON.parse(prepare("opencode", "acp", { permissions }).env.OPENCODE_CONFIG_CONTENT ?? "");
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
    assert.equal(prepare("opencode", "acp", { permissions: "ask" }).env.OPENCODE_DISABLE_PROJECT_CONFIG, "1");
  });

  test("codex calls nobody but the broker, and reads only when a person wants to be asked", () => {
    const { files, args } = prepare("codex", "command", { permissions: "ask" });
    assert.match(files[0]?.text ?? "", /plugins = false\napps = false/);
    assert.deepEqual(args.slice(3, 5), ["--sandbox", "read-only"]);
    assert.equal(prepare("codex", "acp", { permissions: "ask" }).env.INITIAL_AGENT_MODE, "read-only");
  });

  test("codex-acp tells a failed turn in a field of its own", () => {
    const failureIn = presets.codex?.acp?.failureIn;
    const answer = (severity: string): object => ({
      stopReason: "end_turn",
      _meta: { jetbrains: { air: { version: 1, sessionFailure: { severity, title: "429 Too Many Requests" } } } },
    });
    assert.equal(failureIn?.(answer("error")), "429 Too Many Requests");
    assert.equal(failureIn?.(answer("warning")), null);
    assert.equal(failureIn?.({ stopReason: "end_turn" }), null);
  });

  test("claude never hears that it is in a sandbox, whoever says so", () => {
    for (const backend of ["acp", "command"] as const) {
      const { env } = launch(
        { preset: "claude", env: { IS_SANDBOX: "1", EXTRA: "1" } },
        { env: { PATH: "/bin", IS_SANDBOX: "yes" } },
        backend,
      );
      assert.equal("IS_SANDBOX" in env, false);
      assert.equal(env.EXTRA, "1");
    }
  });

  test("openclaw has its gateway on the session's port, and both know a secret that stands in no argument", () => {
    const { companion, argv, env } = launch({ preset: "openclaw" });
    assert.deepEqual(companion?.argv.slice(0, 3), ["/bin/sh", "gateway", "run"]);
    assert.deepEqual(argv.slice(1, 2), ["acp"]);
    assert.ok(env.OPENCLAW_GATEWAY_TOKEN);
    assert.ok(!argv.includes(env.OPENCLAW_GATEWAY_TOKEN), "everybody on the machine can read arguments");
  });
});

test("settings add to the environment; what the session and the preset set stays", () => {
  const { env, argv } = launch({
    preset: "goose",
    env: { EXTRA: "1", PATH: "/evil", HOME: "/evil", OPENAI_HOST: "http://evil", LANG: "de" },
  });
  assert.partialDeepStrictEqual(env, { EXTRA: "1", PATH: "/bin", HOME: "/session/home", OPENAI_HOST: "http://127.0.0.1:7421", LANG: "de" });
  assert.deepEqual(argv, ["/bin/sh", "acp"]);
});

test("a command beside a preset is the program to start; the preset's arguments follow", () => {
  assert.deepEqual(launch({ preset: "gemini", command: ["/bin/sh", "--own"] }).argv.slice(0, 3), ["/bin/sh", "--own", "--acp"]);
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

test("what was meant instead of a preset's name is found: the program, the package, a slip", () => {
  const cases: [string, string | null][] = [
    ["claude-code", "claude"],
    ["claude-agent-acp", "claude"],
    ["codex-acp", "codex"],
    ["gemini-cli", "gemini"],
    ["gose", "goose"],
    ["qewn", "qwen"],
    ["copilot-cli", "copilot"],
    ["OpenCode", "opencode"],
    ["something", null],
    ["", null],
  ];
  for (const [word, meant] of cases) assert.equal(meantPreset(word), meant, word);
});
