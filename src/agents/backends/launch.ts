import { randomUUID } from "node:crypto";
import { AppError } from "../../errors.ts";
import type { Agent } from "../agent.ts";
import type { SessionSpec } from "../backend.ts";
import { resolveProgram } from "../probe.ts";
import type { AcpWay, Companion, CommandWay, HomeFile, Prepared, Preset, Way } from "./presets/preset.ts";
import { meantPreset, presetNamed, presetsFor } from "./presets/table.ts";

/** Everything that is needed to start an agent's program. */
export interface Launch {
  argv: string[];
  env: Record<string, string>;
  files: HomeFile[];
  preset: Preset | null;
  /** The id of the conversation, where it is not the program that gives it. */
  vendorSession: string | null;
  /** A program that must listen before this one starts: its argv is complete. */
  companion: (Omit<Companion, "args"> & { argv: string[] }) | null;
}

type Known = Pick<Agent, "name" | "backend" | "settings">;

/** How the agent's preset is used by its backend; null: it has none, or none of this kind. */
export function wayOf(agent: Omit<Known, "name">): Way | null {
  const preset = presetNamed(agent.settings.preset);
  return agent.backend === "acp" || agent.backend === "command" ? (preset?.[agent.backend] ?? null) : null;
}

export function commandWayOf(agent: Omit<Known, "name">): CommandWay | null {
  return agent.backend === "command" ? (presetNamed(agent.settings.preset)?.command ?? null) : null;
}

export function acpWayOf(agent: Omit<Known, "name">): AcpWay | null {
  return agent.backend === "acp" ? (presetNamed(agent.settings.preset)?.acp ?? null) : null;
}

/** The program and the arguments of one's own that stand first; a preset's own arguments follow. */
export const programOf = (agent: Omit<Known, "name">): string[] | null => {
  const way = wayOf(agent);
  return agent.settings.command ?? (way ? [way.program] : null);
};

/** Any program that speaks to an OpenAI-compatible server understands these. */
const genericEnvironment = (broker: SessionSpec["broker"]): Record<string, string> =>
  broker ? { OPENAI_BASE_URL: `${broker.url}/v1`, OPENAI_API_KEY: broker.token, OPENAI_MODEL: broker.model } : {};

export interface LaunchOptions {
  /** The conversation to go on with, for a program that is told it as it starts. */
  resume?: string | null;
  /** A port of loopback that is free now. */
  port?: number;
}

/**
 * How a session's program is started: the absolute path that detection found, and an environment in which the only secret is the
 * session's own token. Settings may add variables, but not replace those of the session and the preset.
 * Errors: AppError `agent_unavailable` when there is no such program.
 */
export function launchOf(
  spec: Pick<SessionSpec, "agent" | "broker" | "cwd" | "env" | "home" | "permissions">,
  { resume = null, port = 0 }: LaunchOptions = {},
): Launch {
  const { agent, broker, cwd, env, home, permissions } = spec;
  const [name, ...args] = programOf(agent) ?? [];
  const wrong = whyNoPreset(agent);
  const program = name === undefined || wrong ? null : resolveProgram(name, env.PATH ?? "");
  if (program === null) {
    const missing = wrong ?? whyMissing(agent, name);
    throw new AppError("agent_unavailable", `agent ${agent.name} cannot be started: ${missing.message}`, {
      fix: missing.fix ? [missing.fix] : [],
    });
  }
  const session = { broker, permissions, cwd, home, model: agent.settings.model, resume, fresh: randomUUID(), port };
  const own: Prepared = wayOf(agent)?.prepare(session) ?? { args: [], env: genericEnvironment(broker), files: [] };
  const whole: Record<string, string> = { ...env, ...agent.settings.env, ...only(env, ["PATH"]), ...own.env, HOME: home };
  for (const variable of own.unset ?? []) delete whole[variable];
  const companion = acpWayOf(agent)?.companion?.(session);
  return {
    argv: [program, ...args, ...own.args],
    env: whole,
    files: own.files,
    preset: presetNamed(agent.settings.preset),
    vendorSession: own.vendorSession ?? null,
    companion: companion ? { ...companion, argv: [program, ...args, ...companion.args] } : null,
  };
}

const only = (env: Record<string, string>, names: string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));

interface Problem {
  message: string;
  fix: string;
}

/** Why the agent's preset cannot be used by its backend; null when it can, or when it names none. */
export function whyNoPreset({ backend, settings }: Omit<Known, "name">): Problem | null {
  const { preset: name } = settings;
  if (name === undefined || backend === "model") return null;
  const preset = presetNamed(name);
  const others = presetsFor(backend).join(", ");
  if (!preset) {
    const meant = meantPreset(name);
    const fix = meant ? `did you mean "${meant}"?` : `use one of: ${others}; or name the command`;
    return { message: `there is no preset "${name}"`, fix };
  }
  if (preset[backend]) return null;
  const other = backend === "acp" ? "command" : "acp";
  return { message: `the preset "${name}" cannot be used with backend ${backend}`, fix: `use --backend ${other}, or one of: ${others}` };
}

/** Why there is no program to start. */
export function whyMissing(agent: Omit<Known, "name">, name: string | undefined): Problem {
  if (name === undefined)
    return { message: "its settings name neither a preset nor a command", fix: "name the command in the agent's settings" };
  if (name.startsWith(".") || (name.includes("/") && !name.startsWith("/"))) {
    return { message: `"${name}" is a relative path`, fix: "write the absolute path of the program" };
  }
  if (name.startsWith("/")) return { message: `${name} is no program`, fix: "write the path of a file that can be executed" };
  return { message: `"${name}" is not on the search path`, fix: wayOf(agent)?.install ?? `install ${name}, or write its absolute path` };
}
