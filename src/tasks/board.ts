import { z } from "zod";
import { list, onlyPostgres, sql, type Reader, type Sql } from "../db/plan.ts";
import { taskColumns, toTask, type TaskRow } from "./store.ts";
import { State, Task } from "./task.ts";
import { noUsage, usageOfTasks } from "./usage.ts";

/** A task as a board or a list shows it. */
export const TaskCard = Task.extend({
  projectName: z.string(),
  demo: z.boolean().describe("its agent is the built-in demo model"),
  tokens: z.number(),
  costUsd: z.number().nullable(),
  files: z.int().nullable().describe("how many paths it changed; null: it has no result yet"),
});
type TaskCard = z.infer<typeof TaskCard>;

export const Board = z.object({
  columns: z.array(z.object({ state: State, count: z.int(), items: z.array(TaskCard) })),
});

interface Column {
  state: State;
  /** What stands in it: work that starts is work that runs, to whoever looks. */
  states: readonly State[];
  /** The condition of the index that has these states, word for word. */
  among: Sql;
  order: Sql;
}

const newest = { among: sql`t.state in ('done', 'failed', 'cancelled')`, order: sql`t.updated_at desc, t.id desc` };
const live = sql`t.state in ('queued', 'starting', 'running', 'needs you', 'paused')`;
const longest = { among: live, order: sql`t.updated_at, t.id` };

/** Work in hand shows first what waits longest; what is over, the newest. */
const columns: readonly Column[] = [
  { state: "queued", states: ["queued"], among: live, order: sql`t.priority desc, t.created_at, t.id` },
  { state: "running", states: ["running", "starting"], ...longest },
  { state: "needs you", states: ["needs you"], ...longest },
  { state: "paused", states: ["paused"], ...longest },
  { state: "failed", states: ["failed"], ...newest },
  { state: "done", states: ["done"], ...newest },
  { state: "cancelled", states: ["cancelled"], ...newest },
];

/** The exact number of tasks in each state; a state without any is left out. */
async function countByState(read: Reader, project: string | null): Promise<Map<State, number>> {
  const inProject = project === null ? sql`` : sql`and project = ${project}`;
  // Two halves, each out of an index of its own: its condition is named word for word.
  const rows = await read.all<{ state: State; count: number }>(sql`
    select state, count(*) as count from tasks
     where state in ('queued', 'starting', 'running', 'needs you', 'paused') ${inProject} group by state
    union all
    select state, count(*) as count from tasks where state in ('done', 'failed', 'cancelled') ${inProject} group by state`);
  return new Map(rows.map(({ state, count }) => [state, Number(count)]));
}

/** The first tasks of each column, and how many it has in all. */
export async function readBoard(
  read: Reader,
  { project, limit }: { project: string | null; limit: number },
): Promise<z.infer<typeof Board>> {
  const [counts, ...rows] = await Promise.all([
    countByState(read, project),
    ...columns.map((column) => listColumn(read, column, project, limit)),
  ]);
  const cards = new Map((await toCards(read, rows.flat())).map((card) => [card.id, card]));
  return {
    columns: columns.map(({ state, states }, index) => ({
      state,
      count: states.reduce((sum, each) => sum + (counts.get(each) ?? 0), 0),
      items: (rows[index] ?? []).flatMap(({ id }) => cards.get(id) ?? []),
    })),
  };
}

/** The ids first, by the narrow table alone: only what is shown is looked up in the wide ones. */
function listColumn(read: Reader, { states, among, order }: Column, project: string | null, limit: number): Promise<TaskRow[]> {
  const inProject = project === null ? sql`` : sql`and t.project = ${project}`;
  return read.all<TaskRow>(sql`
    select ${taskColumns} from tasks t join task_details d on d.task = t.id
     where t.id in (select t.id from tasks t where ${among} and t.state in (${list(states)}) ${inProject} order by ${order} limit ${limit})
     order by ${order}`);
}

interface CardRow {
  id: string;
  name: string | null;
  demo: number | null;
  files: number | null;
}

/** Dresses rows as cards, in two reads for all of them. */
export async function toCards(read: Reader, rows: readonly TaskRow[]): Promise<TaskCard[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const [facts, usage] = await Promise.all([
    read.all<CardRow>(sql`
      select t.id, p.name, s.demo, json_array_length(d.result${onlyPostgres("::json")} -> 'files') as files
        from tasks t join task_details d on d.task = t.id left join projects p on p.id = t.project left join sessions s on s.id = t.session
       where t.id in (${list(ids)})`),
    usageOfTasks(read, ids),
  ]);
  const byId = new Map(facts.map((fact) => [fact.id, fact]));
  return rows.map((row) => {
    const fact = byId.get(row.id);
    const { tokens, costUsd } = usage.get(row.id) ?? noUsage;
    return {
      ...toTask(row),
      projectName: fact?.name ?? row.project,
      demo: fact?.demo === 1,
      tokens,
      costUsd,
      files: fact?.files ?? null,
    };
  });
}
