import { z } from "zod";

export const ProjectSettings = z.object({
  /** "default": file system and process sandbox, network open. "none" must be said by a person. */
  sandbox: z.enum(["default", "none"]).default("default"),
  /** Runs once in a new clone, in the sandbox. Taken from the base branch's tutti.yaml when not set here. */
  setup: z.string().nullable().default(null),
  /** What happens to a merged branch: "local" moves the person's branch; "push" also pushes it to its remote. */
  deliver: z.enum(["local", "push"]).default("local"),
  /** How many attempts of this project run at once. */
  limit: z.int().min(1).max(1000).default(8),
});
export type ProjectSettings = z.infer<typeof ProjectSettings>;

/** A repository, its settings and its orchestrator. */
export const Project = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  name: z.string(),
  /** The person's folder. */
  source: z.string(),
  baseBranch: z.string(),
  settings: ProjectSettings,
  createdAt: z.number(),
});
export type Project = z.infer<typeof Project>;

/** A project's id from a folder's name: lower case, dashes; "project" when nothing is left. */
export function slug(name: string): string {
  const text = name
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 50);
  return text || "project";
}
