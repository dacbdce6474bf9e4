import { isAbsolute } from "node:path";
import { z } from "zod";
import { invalidInput } from "../errors.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { ProjectCard, toProjectCards } from "./overview.ts";
import { Project, ProjectSettings, slug } from "./project.ts";
import { findProjectBySource, getProject, insertProject, listProjects, settingsText, takenIds, updateSettings } from "./store.ts";

const Id = z.strictObject({ id: z.string().min(1).max(100) });

/** What git takes as a branch's name, less the odd ones; never a flag. */
const BranchName = z
  .string()
  .max(200)
  .regex(/^(?![-/.])(?!.*(\.\.|\/\/|@\{|\/\.))[^\s~^:?*[\]\\\p{Cc}]+(?<![/.])$/u, "is no name of a branch");

export const createProject = command({
  name: "project.create",
  help: "Make a project of a folder with a git repository; the same folder again answers the project that it is.",
  input: z.strictObject({
    folder: z.string().min(1).max(4096),
    name: z.string().trim().min(1).max(100).optional(),
    baseBranch: BranchName.optional(),
    settings: ProjectSettings.optional(),
  }),
  output: Project,
  access: "person",
  scope: "admin",
  cli: { verb: "projects add", args: ["folder"], custom: true },
  mcp: { tool: "create_project", group: "projects" },
  async decide({ folder, name, baseBranch, settings }, { read, workspaces, now }) {
    // Relative to what? The server's own folder is not the caller's.
    if (!isAbsolute(folder)) throw invalidInput(`"${folder}" is not an absolute path`, "the server has another working folder than you");
    const found = await workspaces.inspect(folder);
    const known = await findProjectBySource(read, found.top);
    if (known) return { plan: null, result: known };
    const title = name ?? found.name;
    const project: Project = {
      id: await freeId(slug(title), (id) => takenIds(read, id)),
      name: title,
      source: found.top,
      baseBranch: baseBranch ?? found.branch,
      settings: settings ?? ProjectSettings.parse({}),
      createdAt: now,
    };
    return {
      plan: {
        statements: [insertProject(project)],
        events: [{ stream: project.id, type: "project.created", data: { id: project.id, name: project.name } }],
      },
      result: project,
    };
  },
});

/** `id`, or `id-2`, `id-3` ... "instance" is the name of the stream that belongs to no project. */
async function freeId(id: string, takenOf: (id: string) => Promise<Set<string>>): Promise<string> {
  const taken = await takenOf(id);
  taken.add("instance");
  if (!taken.has(id)) return id;
  let number = 2;
  while (taken.has(`${id}-${number}`)) number += 1;
  return `${id}-${number}`;
}

export const listProjectsQuery = query({
  name: "project.list",
  help: "The repositories that agents work on.",
  path: "/projects",
  input: z.strictObject(Page.shape),
  output: listOf(ProjectCard),
  access: "person",
  cli: { verb: "projects", columns: ["id", "baseBranch", "source"], custom: true },
  mcp: { tool: "list_projects", group: "projects" },
  async run({ limit, cursor }, { read }) {
    const { items, next } = page(await listProjects(read, { after: cursor ?? "", limit: limit + 1 }), limit, (project) => project.id);
    return { items: await toProjectCards(read, items), next };
  },
});

export const getProjectQuery = query({
  name: "project.get",
  help: "One project with its settings.",
  path: "/projects/:id",
  input: Id,
  output: Project,
  access: "person",
  mcp: { tool: "get_project", group: "projects" },
  run: ({ id }, { read }) => getProject(read, id),
});

// Written out: partial() would fill in the defaults of the settings that are not named.
const { sandbox, setup, deliver, limit } = ProjectSettings.shape;
const SettingsChange = z.strictObject({
  sandbox: sandbox.unwrap().optional(),
  setup: setup.unwrap().optional(),
  deliver: deliver.unwrap().optional(),
  limit: limit.unwrap().optional(),
});

export const updateProject = command({
  name: "project.update",
  help: "Change a project's settings; what is not named stays.",
  input: Id.extend({ settings: SettingsChange }),
  output: Project,
  access: "person",
  scope: "admin",
  mcp: { tool: "update_project", group: "projects" },
  async decide({ id, settings: change }, { read }) {
    const text = await settingsText(read, id);
    const before = await getProject(read, id);
    const settings: ProjectSettings = {
      sandbox: change.sandbox ?? before.settings.sandbox,
      setup: change.setup === undefined ? before.settings.setup : change.setup,
      deliver: change.deliver ?? before.settings.deliver,
      limit: change.limit ?? before.settings.limit,
    };
    return {
      plan: {
        statements: [updateSettings(id, text, settings)],
        events: [
          { stream: id, type: "project.updated", data: { id, settings: { ...settings, setup: settings.setup?.slice(0, 500) ?? null } } },
        ],
      },
      result: { ...before, settings },
    };
  },
});
