import { parse } from "yaml";

/** What a repository says about itself in `tutti.yaml` (or paseo.json) on its base branch. */
export interface RepositorySettings {
  /** Runs once in each new clone, in the sandbox. */
  setup: string | null;
}

const lines = (value: unknown): string | null => {
  if (typeof value === "string" && value.trim()) return value;
  if (Array.isArray(value) && value.length > 0 && value.every((line) => typeof line === "string")) return value.join("\n");
  return null;
};

const field = (value: unknown, name: string): unknown =>
  value !== null && typeof value === "object" && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;

/** Reads both files; what cannot be understood counts as absent. `tutti.yaml` goes first. */
export function readRepositorySettings(files: { tuttiYaml: string | null; paseoJson: string | null }): RepositorySettings {
  const own = parsed(files.tuttiYaml, (text) => parse(text, { maxAliasCount: 10 }) as unknown);
  const paseo = parsed(files.paseoJson, (text) => JSON.parse(text) as unknown);
  return { setup: lines(field(own, "setup")) ?? lines(field(field(paseo, "worktree"), "setup")) };
}

function parsed(text: string | null, read: (text: string) => unknown): unknown {
  if (text === null) return null;
  try {
    return read(text);
  } catch {
    return null; // A file that is not YAML or JSON says nothing.
  }
}
