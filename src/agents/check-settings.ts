import { type AppError, invalidInput } from "../errors.ts";
import type { Provider } from "../models/provider.ts";
import type { Agent } from "./agent.ts";
import { whyNoPreset } from "./backends/launch.ts";
import { presetNamed } from "./backends/presets/table.ts";

type Wanted = Pick<Agent, "name" | "backend" | "settings">;

/**
 * What an agent cannot do without, and what cannot be: a preset that is not there, a program that does not speak the language of its
 * provider. `providers` are those that are set up; one that is not yet is found out by detection. Throws AppError invalid_input.
 */
export function checkSettings(agent: Wanted, providers: readonly Pick<Provider, "name" | "protocol">[]): void {
  const { name, backend, settings } = agent;
  if (backend === "acp" && !settings.preset && !settings.command) {
    throw invalidInput(`agent "${name}" has neither preset nor command`, "an acp agent is a program", [
      `tutti agents add ${name} --backend acp --preset goose`,
    ]);
  }
  if (backend === "command" && !settings.preset && !settings.command) {
    throw invalidInput(`agent "${name}" has neither preset nor command`, "a command agent is a program", [
      `tutti agents add ${name} --backend command --preset codex`,
      `tutti agents add ${name} --backend command --command <program> --command {prompt}`,
    ]);
  }
  if (backend === "model" && !settings.provider) {
    throw invalidInput(`agent "${name}" has no provider`, "a model is served by somebody", [
      `tutti agents add ${name} --backend model --provider demo`,
    ]);
  }
  const wrong = whyNoPreset(agent);
  if (wrong) throw invalidInput(`agent "${name}" cannot be: ${wrong.message}`, undefined, [wrong.fix]);
  const refusal = wrongProtocol(agent, providers);
  if (refusal) throw refusal;
}

/** A preset's program that is to reach its provider with the provider's key must speak the provider's language. */
function wrongProtocol({ name, backend, settings }: Wanted, providers: readonly Pick<Provider, "name" | "protocol">[]): AppError | null {
  const preset = backend === "model" ? null : presetNamed(settings.preset);
  if (!preset || settings.credentials !== "key") return null;
  const provider = providers.find((each) => each.name === settings.provider);
  if (!provider || preset.protocols.includes(provider.protocol)) return null;
  const fitting = providers.find(({ protocol }) => preset.protocols.includes(protocol));
  const speaks = preset.protocols.join(", ");
  return invalidInput(
    `agent "${name}" cannot use the provider "${provider.name}"`,
    `"${settings.preset}" speaks the protocol ${speaks}, and the provider ${provider.protocol}`,
    [
      fitting
        ? `use the provider "${fitting.name}"`
        : `tutti providers set ${preset.protocols[0]} --protocol ${preset.protocols[0]} --model <name>   (then use that one)`,
    ],
  );
}
