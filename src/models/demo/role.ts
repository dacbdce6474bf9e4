import { call, type Behaviour } from "./behaviour.ts";
import { introduce } from "./introduce.ts";
import { plan } from "./plan.ts";
import { writeReleaseNotes } from "./release-notes.ts";
import { repair } from "./repair.ts";
import { summarise } from "./summarise.ts";

/** The words by which a prompt asks for one of the few things that the demo model can do. */
const words: { behaviour: (prompt: string) => Behaviour; asks: RegExp }[] = [
  { behaviour: writeReleaseNotes, asks: /\brelease notes\b|\bchange ?log\b/i },
  {
    behaviour: repair,
    asks: /\b(fix|repair|mend|debug)(e[sd]|s|ed|ing)?\b|\bfailing tests?\b|\bmake (it|them|the tests?|the check) pass\b/i,
  },
  { behaviour: summarise, asks: /\bsummar(y|i[sz]e)/i },
];

/** Chooses by the newest prompt; when it says nothing of the kind ("go on"), by the ones before it. `prompts` is in the order they were said. */
export function behaviourFor(prompts: string[]): Behaviour {
  const everything = prompts.toReversed().join("\n\n");
  for (const prompt of prompts.toReversed()) {
    const chosen = asksForParts(prompt) ? plan : earliest(prompt);
    if (chosen) return wasInterrupted(prompt) ? startAnew(chosen(everything)) : chosen(everything);
  }
  return introduce();
}

const wasInterrupted = (prompt: string): boolean => /\binterrupted in the middle\b/.test(prompt);

/** A change that was only being tried would look like one more bug: what an interrupted try left is put aside, not deleted. */
function* startAnew(behaviour: Behaviour): Behaviour {
  yield* call("I put aside what the interrupted try left.", "shell", {
    command: "git stash push --include-untracked --quiet",
    timeoutMs: 60_000,
  });
  return yield* behaviour;
}

const asksForParts = (prompt: string): boolean => /\bjson\b/i.test(prompt) && /["'`]?\bparts\b/.test(prompt);

/** What a prompt names first is what it asks for; the rest is detail ("fix the bug, then add a summary"). */
function earliest(prompt: string): ((prompt: string) => Behaviour) | null {
  const found = words.map(({ behaviour, asks }) => ({ behaviour, at: prompt.search(asks) })).filter(({ at }) => at >= 0);
  found.sort((a, b) => a.at - b.at);
  return found[0]?.behaviour ?? null;
}
