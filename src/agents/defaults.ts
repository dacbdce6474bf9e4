import type { Provider } from "../models/provider.ts";
import type { NewAgent } from "./agent.ts";
import type { Preset } from "./backends/presets/preset.ts";
import { presets } from "./backends/presets/table.ts";

/** An agent that may be made at a start. */
export interface DefaultAgent {
  /** The ways in which it could work, the best first: the first whose program can be used is taken, else the first that is there. */
  choices: NewAgent[];
  /** Made even if nothing of it is found. */
  always: boolean;
}

/**
 * The agents that a new home starts with: the demo model, the models of each provider that the environment names, and each
 * program that has a preset and is found. One agent for a program: over ACP, where it can ask and be cancelled, rather than as a
 * command. Whether each can be used is found out by detection, never assumed.
 */
export function defaultAgents(providers: readonly Pick<Provider, "name" | "protocol">[]): DefaultAgent[] {
  const model = (name: string, provider: string): DefaultAgent => ({
    always: true,
    choices: [
      {
        ...base,
        name,
        backend: "model",
        settings:
          provider === "demo"
            ? { ...usual, provider, model: "tutti-demo", credentials: "none" }
            : { ...usual, provider, credentials: "key" },
      },
    ],
  });
  return [
    model("demo", "demo"),
    ...Object.entries(presets).map(([name, preset]) => ({ always: false, choices: choicesOf(name, preset, providers) })),
    ...providers.map(({ name }, index) => model(index === 0 ? "model" : `model-${name}`, name)),
  ];
}

const base = { role: null, skills: [], limit: 4 };
const usual = { env: {}, permissions: "auto" } as const;

/**
 * A key that the person has set up for this comes before a login of their own, and a vendor's login is for the vendor's own program:
 * an adapter that is made with the vendor's library gets a key only.
 */
function choicesOf(name: string, preset: Preset, providers: readonly Pick<Provider, "name" | "protocol">[]): NewAgent[] {
  const provider = providers.find(({ protocol }) => preset.protocols.includes(protocol));
  const choices: NewAgent[] = [];
  for (const backend of ["acp", "command"] as const) {
    const way = preset[backend];
    if (!way) continue;
    if (provider) {
      choices.push({ ...base, name, backend, settings: { ...usual, preset: name, credentials: "key", provider: provider.name } });
    } else if (!way.keyOnly) {
      choices.push({ ...base, name, backend, settings: { ...usual, preset: name, credentials: "vendor" } });
    }
  }
  return choices;
}
