import type { Agent, Detection } from "../agent.ts";
import type { DetectEnvironment } from "../backend.ts";
import { askVersion, isWithinVersions, notFound, resolveProgram, versionIn } from "../probe.ts";
import { programOf, wayOf, whyMissing, whyNoPreset } from "./launch.ts";
import { isSignedIn, type Preset, type Way } from "./presets/preset.ts";
import { presetNamed } from "./presets/table.ts";

/**
 * Whether the program of an `acp` or `command` agent can be used now: found, really started, of a version that is known to work, and
 * with something to sign in with. Each state but "ready" has the one command that mends it.
 */
export async function detectProgram(agent: Pick<Agent, "backend" | "settings">, environment: DetectEnvironment): Promise<Detection> {
  const { settings } = agent;
  const wrong = whyNoPreset(agent);
  const [name] = programOf(agent) ?? [];
  const path = name === undefined || wrong ? null : resolveProgram(name, environment.path);
  if (path === null) {
    const { message, fix } = wrong ?? whyMissing(agent, name);
    return notFound(message, fix);
  }
  const { output, failure } = await askVersion(path, environment);
  const way = wayOf(agent);
  const version = failure === null ? versionIn(output) : null;
  const unfit = way && unfitness(way, { version, failure });
  if (unfit) return { state: "unsupported version", version, path, ...unfit };
  // Of a program without a preset nothing is known: one that has no --version may work all the same, one that cannot begin may not.
  if (!way && failure !== null && /code 12[67]\b/.test(failure))
    return { state: "not found", version, path, message: failure, fix: `install it again: ${path} cannot be started` };
  const missing = missingCredentials(settings, presetNamed(settings.preset), way, environment);
  if (missing) return { state: "signed out", version, path, ...missing };
  return { state: "ready", version, path, message: null, fix: null };
}

function unfitness(
  { program, versions, install }: Way,
  { version, failure }: { version: string | null; failure: string | null },
): { message: string; fix: string } | null {
  const { from, below } = versions;
  if (failure !== null) return { message: `${program} is there, but ${failure}`, fix: install };
  if (version === null) return { message: `${program} did not say its version`, fix: install };
  if (isWithinVersions(version, versions)) return null;
  return { message: `${program} ${version} is not supported: from ${from}, below ${below}`, fix: install };
}

function missingCredentials(
  settings: Agent["settings"],
  preset: Preset | null,
  way: Way | null,
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
      if (!preset || isSignedIn(preset, home)) return null;
      return { message: `${way?.program ?? "it"} has no login`, fix: preset.signIn };
  }
}
