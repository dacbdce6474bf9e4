import { z } from "zod";

export const ProjectSettings = z.object({
  sandbox: z
    .enum(["default", "none"])
    .default("default")
    .describe('"default": file system and process sandbox, network open. "none" must be said by a person.'),
  setup: z
    .string()
    .nullable()
    .default(null)
    .describe("runs once in a new clone, in the sandbox. Taken from the base branch's tutti.yaml when not set here."),
  deliver: z
    .enum(["local", "push"])
    .default("local")
    .describe('what happens to a merged branch: "local" moves the person\'s branch; "push" also pushes it to its remote'),
  limit: z.int().min(1).max(1000).default(8).describe("how many attempts of this project run at once"),
});
export type ProjectSettings = z.infer<typeof ProjectSettings>;

/** A repository, its settings and its orchestrator. */
export const Project = z.object({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  name: z.string(),
  source: z.string().describe("the person's folder"),
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
