import type { Project, ProjectSettings } from "../../../src/projects/project.ts";
import { limitOf } from "../agents/agent-form.ts";

/** A project's settings as they are typed and chosen. */
export interface SettingsDraft {
  limit: string;
  deliver: ProjectSettings["deliver"];
  setup: string;
  sandbox: ProjectSettings["sandbox"];
}

export const draftOf = ({ limit, deliver, setup, sandbox }: ProjectSettings): SettingsDraft => ({
  limit: String(limit),
  deliver,
  setup: setup ?? "",
  sandbox,
});

/**
 * The input of `project.update` with what differs from the project as it is; null: nothing does, or the limit is none. `opens`: agents
 * would lose their sandbox by it, which a person has to say twice. Pure.
 */
export function updateOf(
  { id, settings: now }: Pick<Project, "id" | "settings">,
  draft: SettingsDraft,
): { input: { id: string; settings: Partial<ProjectSettings> } | null; limitProblem: string | null; opens: boolean } {
  const limit = limitOf(draft.limit);
  if (limit === null) return { input: null, limitProblem: "a number from 1 to 1000", opens: false };
  const setup = draft.setup.trim() === "" ? null : draft.setup;
  const settings: Partial<ProjectSettings> = {
    ...(limit === now.limit ? {} : { limit }),
    ...(draft.deliver === now.deliver ? {} : { deliver: draft.deliver }),
    ...(setup === now.setup ? {} : { setup }),
    ...(draft.sandbox === now.sandbox ? {} : { sandbox: draft.sandbox }),
  };
  return { input: Object.keys(settings).length > 0 ? { id, settings } : null, limitProblem: null, opens: settings.sandbox === "none" };
}

export const deliverTitles: Readonly<Record<ProjectSettings["deliver"], { title: string; text: string }>> = {
  local: { title: "To your branch", text: "What passed is merged into the base branch of your folder, and goes nowhere else." },
  push: { title: "To your branch and its remote", text: "After the merge the branch is pushed to its remote, as you." },
};

export const sandboxTitles: Readonly<Record<ProjectSettings["sandbox"], { title: string; text: string }>> = {
  default: {
    title: "In the sandbox",
    text: "Agents, checks and set-up see their own clone and nothing of your home. The network is open.",
  },
  none: {
    title: "Without a sandbox",
    text: "Agents, checks and set-up run as the server's own user and can read and change whatever it can: other projects, keys, logins.",
  },
};
