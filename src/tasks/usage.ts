import { list, onlyPostgres, sql, type Reader, type Sql } from "../db/plan.ts";

/** What turns have used, from the counts that each stored when it ended. */
export interface UsageSum {
  /** Input and output together. */
  tokens: number;
  /** US dollars; null when no turn's program or provider said. */
  costUsd: number | null;
}

export const noUsage: UsageSum = { tokens: 0, costUsd: null };

const count = (field: Sql): Sql => sql`coalesce(sum(cast(u.usage_json${onlyPostgres("::json")} ->> ${field} as bigint)), 0)`;

/** The columns `tokens` and `cost_usd` over turns `u`. */
export const usageSums = sql`
  ${count(sql`'inputTokens'`)} + ${count(sql`'outputTokens'`)} as tokens,
  sum(cast(u.usage_json${onlyPostgres("::json")} ->> 'costUsd' as double precision)) as cost_usd`;

export interface UsageRow {
  tokens: number | string;
  cost_usd: number | null;
}

/** Sums come as text from PostgreSQL: they may be larger than its own largest number. */
export const toUsage = (row: UsageRow): UsageSum => ({ tokens: Number(row.tokens), costUsd: row.cost_usd });

/** By task, over all of its sessions. */
export async function usageOfTasks(read: Reader, tasks: readonly string[]): Promise<Map<string, UsageSum>> {
  const rows = await read.all<UsageRow & { task: string }>(sql`
    select s.task, ${usageSums} from sessions s join turns u on u.session = s.id where s.task in (${list(tasks)}) group by s.task`);
  return new Map(rows.map((row) => [row.task, toUsage(row)]));
}

/** By run, over the tasks of its steps as they are now and were before a retry. */
export async function usageOfRuns(read: Reader, runs: readonly string[]): Promise<Map<string, UsageSum>> {
  const rows = await read.all<UsageRow & { run: string }>(sql`
    select t.run, ${usageSums} from tasks t join sessions s on s.task = t.id join turns u on u.session = s.id
     where t.run in (${list(runs)}) group by t.run`);
  return new Map(rows.map((row) => [row.run, toUsage(row)]));
}
