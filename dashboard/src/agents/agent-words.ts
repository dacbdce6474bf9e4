import type { Agent, AgentSettings, BackendKind, Detection } from "../../../src/agents/agent.ts";
import type { State } from "../../../src/tasks/task.ts";

/** The glyph of each honest state of a program; the word is the state itself. "unsupported version" and "not found" are as the server counts them. */
export const detectionGlyph: Readonly<Record<Detection["state"], State>> = {
  ready: "done",
  "signed out": "needs you",
  "unsupported version": "failed",
  "not found": "failed",
};

export const backendTitles: Readonly<Record<BackendKind, { title: string; text: string }>> = {
  acp: { title: "A program that stays", text: "It speaks the Agent Client Protocol, can ask before it acts, and is cancelled at once." },
  command: { title: "A program for each turn", text: "It is started, does one turn and ends. It cannot ask." },
  model: { title: "A model", text: "Tutti itself drives it, with tools of its own in the sandbox." },
};

/** "goose over ACP", "codex, once for each turn", "a model at openai". Pure. */
export function kindWords({ backend, settings }: Pick<Agent, "backend" | "settings">): string {
  const program = settings.preset ?? settings.command?.[0] ?? "a program";
  switch (backend) {
    case "acp":
      return `${program} over ACP`;
    case "command":
      return `${program}, once for each turn`;
    case "model":
      return `a model at ${settings.provider ?? "no provider"}`;
  }
}

const credentialsTitles: Readonly<Record<AgentSettings["credentials"], { title: string; text: string }>> = {
  vendor: {
    title: "Your own sign-in",
    text: "The login that the program has on this machine: its own folders, and nothing else of your home.",
  },
  key: { title: "A key that stays on the server", text: "The program reaches the provider through the server and never sees the key." },
  none: { title: "None", text: "It wants no login and no key, or brings its own." },
};

/** How it proves who it is. A model has no program: it is Tutti that calls the provider. Pure. */
export const credentialsWords = (credentials: AgentSettings["credentials"], backend: BackendKind): { title: string; text: string } =>
  backend === "model" && credentials === "key"
    ? { title: "A key that stays on the server", text: "Tutti itself calls the provider, with its key when it wants one." }
    : credentialsTitles[credentials];

/** What happens when the agent wants to act. A program for one turn has nobody to ask. Pure. */
export function permissionsWords(permissions: AgentSettings["permissions"], backend: BackendKind): { title: string; text: string } {
  if (permissions === "auto")
    return { title: "Goes on by itself", text: "Edits and commands inside of its own clone are allowed, in the sandbox." };
  return backend === "command"
    ? { title: "Refused", text: "It cannot ask: the program refuses by itself what it would have to ask for." }
    : { title: "Asks you", text: "Each edit and command waits in the inbox until a person says yes." };
}

/** "openai, gpt-5"; null: it uses what its program is set to. Pure. */
export function modelWords({ provider, model }: Pick<AgentSettings, "provider" | "model">): string | null {
  const words = [provider, model].filter((word) => word !== undefined);
  return words.length === 0 ? null : words.join(", ");
}
