import { claude } from "./claude.ts";
import { codex } from "./codex.ts";
import { copilot } from "./copilot.ts";
import { gemini } from "./gemini.ts";
import { goose } from "./goose.ts";
import { openclaw } from "./openclaw.ts";
import { opencode } from "./opencode.ts";
import { pi } from "./pi.ts";
import { foldersOf, type Preset } from "./preset.ts";
import { qwen } from "./qwen.ts";

/** Every program that Tutti knows by name. */
export const presets: Readonly<Record<string, Preset>> = { claude, codex, copilot, gemini, goose, openclaw, opencode, pi, qwen };

/** null for a name that is none of them, also for one that every object has. */
export const presetNamed = (name: string | undefined): Preset | null =>
  name !== undefined && Object.hasOwn(presets, name) ? (presets[name] ?? null) : null;

/** The names of the presets that can be used in this way. */
export const presetsFor = (backend: "acp" | "command"): string[] =>
  Object.entries(presets).flatMap(([name, preset]) => (preset[backend] ? [name] : []));

/**
 * The name that was probably meant: the program's, the adapter's or the package's instead of the preset's ("claude-code",
 * "codex-acp"), or with a letter wrong. null when none is near.
 */
export function meantPreset(word: string): string | null {
  const wanted = word.toLowerCase();
  const names = Object.keys(presets);
  const byProgram = names.find((name) => presets[name]?.acp?.program === wanted || presets[name]?.command?.program === wanted);
  const words = wanted.split(/[^a-z]+/);
  return byProgram ?? names.find((name) => words.includes(name)) ?? names.find((name) => isOneOff(name, wanted)) ?? null;
}

/** One letter changed, missing, added, or swapped with its neighbour. */
function isOneOff(a: string, b: string): boolean {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  const [left, right] = [a.slice(start), b.slice(start)];
  const swapped = left[0] === right[1] && left[1] === right[0] && left.slice(2) === right.slice(2);
  return swapped || left.slice(1) === right.slice(1) || left.slice(1) === right || left === right.slice(1);
}

/** The person's own login folders of a preset's program, absolute, as far as they exist. */
export function loginFolders(name: string, home: string): string[] {
  const preset = presetNamed(name);
  return preset ? foldersOf(preset, home) : [];
}
