import { sql, statement, type Reader, type Statement } from "../db/plan.ts";
import { notFound } from "../errors.ts";
import { ProjectSettings, type Project } from "./project.ts";

interface ProjectRow {
  id: string;
  name: string;
  source: string;
  base_branch: string;
  settings: string;
  created_at: number;
}

const columns = sql`id, name, source, base_branch, settings, created_at`;

// Parsed, not cast: settings that came later get their defaults.
const toProject = (row: ProjectRow): Project => ({
  id: row.id,
  name: row.name,
  source: row.source,
  baseBranch: row.base_branch,
  settings: ProjectSettings.parse(JSON.parse(row.settings)),
  createdAt: row.created_at,
});

export async function findProject(read: Reader, id: string): Promise<Project | null> {
  const row = await read.one<ProjectRow>(sql`select ${columns} from projects where id = ${id}`);
  return row ? toProject(row) : null;
}

/** Throws AppError not_found. */
export async function getProject(read: Reader, id: string): Promise<Project> {
  const project = await findProject(read, id);
  if (!project) throw notFound("project", id, ["tutti projects"]);
  return project;
}

export async function findProjectBySource(read: Reader, source: string): Promise<Project | null> {
  const row = await read.one<ProjectRow>(sql`select ${columns} from projects where source = ${source}`);
  return row ? toProject(row) : null;
}

/** In the order of their ids, behind the id `after`. */
export async function listProjects(read: Reader, { after, limit }: { after: string; limit: number }): Promise<Project[]> {
  const rows = await read.all<ProjectRow>(sql`select ${columns} from projects where id > ${after} order by id limit ${limit}`);
  return rows.map(toProject);
}

/** The ids that are taken of `id`, `id-2`, `id-3` ... */
export async function takenIds(read: Reader, id: string): Promise<Set<string>> {
  const rows = await read.all<{ id: string }>(sql`select id from projects where id = ${id} or id like ${`${id}-%`}`);
  return new Set(rows.map((row) => row.id));
}

export const insertProject = (project: Project): Statement =>
  statement(sql`
    insert into projects (id, name, source, base_branch, settings, created_at)
    values (${project.id}, ${project.name}, ${project.source}, ${project.baseBranch}, ${JSON.stringify(project.settings)}, ${project.createdAt})`);

/** The settings as they are stored: what a change compares itself with. */
export async function settingsText(read: Reader, id: string): Promise<string> {
  const row = await read.one<{ settings: string }>(sql`select settings from projects where id = ${id}`);
  return row?.settings ?? "";
}

/** Only while the settings are still what was read: two changes at once do not undo each other. */
export const updateSettings = (id: string, before: string, settings: ProjectSettings): Statement =>
  statement(sql`update projects set settings = ${JSON.stringify(settings)} where id = ${id} and settings = ${before}`);
