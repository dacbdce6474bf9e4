import { z } from "zod";
import { list, onlyPostgres, sql, type Reader } from "../db/plan.ts";
import { Agent } from "./agent.ts";

/** An agent as a list shows it: with what it does and did. */
export const AgentCard = Agent.extend({
  sessions: z.array(z.string()).describe("the conversations that it has now, at most 100"),
  /** Of the last 7 days. `costUsd` null: nobody said. */
  lastWeek: z.object({ done: z.int(), failed: z.int(), tokens: z.number(), costUsd: z.number().nullable() }),
});

interface EndedRow {
  agent: string;
  state: "done" | "failed";
  count: number;
}

interface UsageRow {
  agent: string;
  tokens: number | string;
  cost_usd: number | null;
}

const week = 7 * 24 * 3_600_000;
const mostSessions = 100;

/** Dresses agents as cards, in three reads for all of them. */
export async function toAgentCards(read: Reader, agents: readonly Agent[], now: number): Promise<z.infer<typeof AgentCard>[]> {
  const names = list(agents.map(({ name }) => name));
  const json = sql`u.usage_json${onlyPostgres("::json")}`;
  const [held, ended, used] = await Promise.all([
    read.all<{ agent: string; session: string }>(sql`
      select agent, session from tasks
       where state in ('starting', 'running', 'needs you') and session is not null and agent in (${names}) order by updated_at desc, session`),
    read.all<EndedRow>(sql`
      select agent, state, count(*) as count from tasks
       where state in ('done', 'failed', 'cancelled') and state <> 'cancelled' and updated_at >= ${now - week} and agent in (${names})
       group by agent, state`),
    read.all<UsageRow>(sql`
      select s.agent, coalesce(sum(cast(${json} ->> 'inputTokens' as bigint) + cast(${json} ->> 'outputTokens' as bigint)), 0) as tokens,
             sum(cast(${json} ->> 'costUsd' as double precision)) as cost_usd
        from turns u join sessions s on s.id = u.session
       where u.finished_at >= ${now - week} and s.agent in (${names}) group by s.agent`),
  ]);
  const endedOf = (name: string, state: EndedRow["state"]): number =>
    Number(ended.find((row) => row.agent === name && row.state === state)?.count ?? 0);
  return agents.map((agent) => {
    const usage = used.find((row) => row.agent === agent.name);
    return {
      ...agent,
      sessions: held.flatMap((row) => (row.agent === agent.name ? row.session : [])).slice(0, mostSessions),
      lastWeek: {
        done: endedOf(agent.name, "done"),
        failed: endedOf(agent.name, "failed"),
        tokens: Number(usage?.tokens ?? 0),
        costUsd: usage?.cost_usd ?? null,
      },
    };
  });
}
