import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../errors.ts";
import type { Agent, AgentSettings, Detection } from "../agent.ts";
import type { DetectEnvironment, SessionSpec } from "../backend.ts";
import { askVersion, isWithinVersions, notFound, resolveProgram, versionIn } from "../probe.ts";

/**
 * What Tutti knows of the agent programs that it starts: arguments, environment, files, versions. Names of variables and files are
 * the programs' own, measured with the versions below. Nothing here decides anything about a turn.
 */

/** A file that a program reads in its home. */
export interface HomeFile {
  /** Below the session's home. */
  path: string;
  text: string;
}

export interface Preset {
  program: string;
  args: string[];
  versions: { from: string; below: string };
  install: string;
  /** How a person signs in, for credentials: vendor. */
  signIn: string;
  /** Where the program keeps logins and settings, below HOME. */
  login: string[];
  isSignedIn(home: string): boolean;
  /** It reports token counts with each turn. */
  reportsUsage: boolean;
  /** What it needs for a session. With `broker` null it uses what is in its own login folders. */
  prepare(session: Pick<SessionSpec, "broker" | "permissions" | "cwd"> & { model: string | undefined }): {
    env: Record<string, string>;
    files: HomeFile[];
  };
}

const goose: Preset = {
  program: "goose",
  args: ["acp"],
  // Tried with 1.34.0.
  versions: { from: "1.30.0", below: "2.0.0" },
  install: "npm install -g @aaif/goose",
  signIn: "goose configure",
  login: [".config/goose"],
  isSignedIn: (home) => /^\s*GOOSE_PROVIDER\s*:/m.test(textOf(join(home, ".config/goose/config.yaml"))),
  reportsUsage: true,
  prepare({ broker, permissions, model }) {
    const env: Record<string, string> = {
      GOOSE_MODE: permissions === "auto" ? "auto" : "approve",
      GOOSE_DISABLE_KEYRING: "1",
      GOOSE_TELEMETRY_ENABLED: "false",
      // Each would be a model call of its own beside the work.
      GOOSE_DISABLE_SESSION_NAMING: "true",
      GOOSE_DISABLE_TOOL_CALL_SUMMARY: "true",
    };
    if (!broker) return { env: { ...env, ...(model ? { GOOSE_MODEL: model } : {}) }, files: [] };
    Object.assign(env, { GOOSE_PROVIDER: "openai", GOOSE_MODEL: broker.model, OPENAI_HOST: broker.url, OPENAI_API_KEY: broker.token });
    return { env, files: [{ path: ".config/goose/config.yaml", text: gooseExtensions }] };
  },
};

const gooseExtensions = `extensions:
  developer:
    bundled: true
    enabled: true
    name: developer
    timeout: 300
    type: builtin
`;

const opencode: Preset = {
  program: "opencode",
  args: ["acp"],
  // Tried with 1.18.33.
  versions: { from: "1.0.0", below: "2.0.0" },
  install: "npm install -g opencode-ai",
  signIn: "opencode auth login",
  login: [".local/share/opencode", ".config/opencode"],
  isSignedIn: (home) => (statSync(join(home, ".local/share/opencode/auth.json"), { throwIfNoEntry: false })?.size ?? 0) > 2,
  reportsUsage: true,
  prepare({ broker, permissions, cwd, model }) {
    const leave = permissions === "auto" ? "allow" : "ask";
    const config: Record<string, unknown> = {
      $schema: "https://opencode.ai/config.json",
      autoupdate: false,
      share: "disabled",
      permission: { edit: leave, bash: leave, webfetch: leave, external_directory: leave },
    };
    if (broker) {
      const options = { baseURL: `${broker.url}/v1`, apiKey: broker.token };
      config.provider = {
        tutti: { npm: "@ai-sdk/openai-compatible", name: "Tutti", options, models: { [broker.model]: { name: broker.model } } },
      };
      config.model = `tutti/${broker.model}`;
      config.small_model = `tutti/${broker.model}`;
      config.enabled_providers = ["tutti"];
    } else if (model) {
      config.model = model;
    }
    const env: Record<string, string> = {
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    };
    if (permissions === "ask") {
      // A repository's opencode.json and .opencode could allow what a person wants to be asked ({"*": "allow"}), and bring plugins,
      // which run unasked. This switches off its instructions as well, so they are named.
      env.OPENCODE_DISABLE_PROJECT_CONFIG = "1";
      config.instructions = ["AGENTS.md", "CLAUDE.md"].map((name) => join(cwd, name));
    }
    // In the environment and not in a file: what stands there comes last and wins.
    return { env: { ...env, OPENCODE_CONFIG_CONTENT: JSON.stringify(config) }, files: [] };
  },
};

export const presets: Readonly<Record<string, Preset>> = { goose, opencode };

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** The person's own login folders of a program, absolute, as far as they exist: mounted as they are, never copied. */
export function loginFolders(preset: string, home: string): string[] {
  return (presets[preset]?.login ?? []).map((folder) => join(home, folder)).filter((folder) => existsSync(folder));
}

/** Everything that is needed to start an agent's program. */
export interface Launch {
  argv: string[];
  env: Record<string, string>;
  files: HomeFile[];
  preset: Preset | null;
}

/** Any program that speaks to an OpenAI-compatible server understands these. */
const genericEnvironment = (broker: SessionSpec["broker"]): Record<string, string> =>
  broker ? { OPENAI_BASE_URL: `${broker.url}/v1`, OPENAI_API_KEY: broker.token, OPENAI_MODEL: broker.model } : {};

/**
 * How a session's program is started: the absolute path that detection found, and an environment in which the only secret is the
 * session's own token. Settings may add variables, but not replace those of the session and the preset.
 * Errors: AppError `agent_unavailable` when there is no such program.
 */
export function launchOf(spec: Pick<SessionSpec, "agent" | "broker" | "cwd" | "env" | "home" | "permissions">): Launch {
  const { agent, broker, cwd, env, home, permissions } = spec;
  const preset = presetOf(agent.settings);
  const [name, ...args] = commandOf(agent.settings) ?? [];
  const program = name === undefined ? null : resolveProgram(name, env.PATH ?? "");
  if (program === null) {
    const missing = whyMissing(agent.settings, name);
    throw new AppError("agent_unavailable", `agent ${agent.name} cannot be started: ${missing.message}`, {
      fix: missing.fix ? [missing.fix] : [],
    });
  }
  const { env: own, files } = preset?.prepare({ broker, permissions, cwd, model: agent.settings.model }) ?? {
    env: genericEnvironment(broker),
    files: [],
  };
  return { argv: [program, ...args], env: { ...env, ...agent.settings.env, ...only(env, ["PATH"]), ...own, HOME: home }, files, preset };
}

const only = (env: Record<string, string>, names: string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));

const presetOf = (settings: AgentSettings): Preset | null =>
  settings.preset !== undefined && Object.hasOwn(presets, settings.preset) ? (presets[settings.preset] ?? null) : null;

/** The whole command: settings may name another program for a preset (a version of one's own). */
function commandOf(settings: AgentSettings): string[] | null {
  const preset = presetOf(settings);
  return settings.command ?? (preset ? [preset.program, ...preset.args] : null);
}

function whyMissing(settings: AgentSettings, name: string | undefined): { message: string; fix: string | null } {
  const preset = presetOf(settings);
  if (settings.preset !== undefined && !preset) {
    return {
      message: `there is no preset "${settings.preset}"`,
      fix: `use one of: ${Object.keys(presets).join(", ")}; or name the command`,
    };
  }
  if (name === undefined)
    return { message: "its settings name neither a preset nor a command", fix: "name the command in the agent's settings" };
  if (name.startsWith(".") || (name.includes("/") && !name.startsWith("/"))) {
    return { message: `"${name}" is a relative path`, fix: "write the absolute path of the program" };
  }
  const found = `"${name}" is not on the search path`;
  return name.startsWith("/")
    ? { message: `${name} is no program`, fix: "write the path of a file that can be executed" }
    : { message: found, fix: preset?.install ?? `install ${name}, or write its absolute path` };
}

/**
 * Whether the program of an `acp` or `command` agent can be used now: found, really started, of a version that is known to work, and
 * with something to sign in with.
 */
export async function detectProgram(agent: Pick<Agent, "settings">, environment: DetectEnvironment): Promise<Detection> {
  const { settings } = agent;
  const [name] = commandOf(settings) ?? [];
  const path = name === undefined ? null : resolveProgram(name, environment.path);
  if (path === null) {
    const { message, fix } = whyMissing(settings, name);
    return notFound(message, fix);
  }
  const { output, failure } = await askVersion(path, environment);
  const preset = presetOf(settings);
  const version = failure === null ? versionIn(output) : null;
  const unfit = preset && unfitness(preset, { version, failure });
  if (unfit) return { state: "unsupported version", version, path, ...unfit };
  // Of a program without a preset nothing is known: one that has no --version may work all the same, one that cannot begin may not.
  if (!preset && failure !== null && /code 12[67]\b/.test(failure))
    return { state: "not found", version, path, message: failure, fix: `install it again: ${path} cannot be started` };
  const missing = missingCredentials(settings, preset, environment);
  if (missing) return { state: "signed out", version, path, ...missing };
  return { state: "ready", version, path, message: null, fix: null };
}

function unfitness(
  preset: Preset,
  { version, failure }: { version: string | null; failure: string | null },
): { message: string; fix: string } | null {
  const { from, below } = preset.versions;
  if (failure !== null) return { message: `${preset.program} is there, but ${failure}`, fix: preset.install };
  if (version === null) return { message: `${preset.program} did not say its version`, fix: preset.install };
  if (isWithinVersions(version, preset.versions)) return null;
  return { message: `${preset.program} ${version} is not supported: from ${from}, below ${below}`, fix: preset.install };
}

function missingCredentials(
  settings: AgentSettings,
  preset: Preset | null,
  { home, providers }: DetectEnvironment,
): { message: string; fix: string } | null {
  switch (settings.credentials) {
    case "none":
      return null;
    case "key":
      if (settings.provider !== undefined && providers.includes(settings.provider)) return null;
      return {
        message: settings.provider ? `the provider "${settings.provider}" is not set up` : "the agent names no provider",
        fix: `tutti providers set ${settings.provider ?? "<name>"} --base-url <url> --model <name>`,
      };
    case "vendor":
      if (!preset || preset.isSignedIn(home)) return null;
      return { message: `${preset.program} has no login`, fix: preset.signIn };
  }
}
