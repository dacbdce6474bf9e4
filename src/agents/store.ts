import { sql, statement, type Reader, type Statement } from "../db/plan.ts";
import { notFound } from "../errors.ts";
import { AgentSettings, type Agent, type Detection } from "./agent.ts";
import { stateOf } from "./state.ts";

interface AgentRow {
  name: string;
  backend: Agent["backend"];
  role: string | null;
  skills: string;
  max_sessions: number;
  demo: number;
  settings: string;
  detection: string;
  active: number;
}

// What an agent is doing is asked of the tasks, never kept beside them: two records of one thing would differ.
const agents = sql`
  select a.name, a.backend, a.role, a.skills, a.max_sessions, a.demo, a.settings, a.detection,
         (select count(*) from tasks t where t.agent = a.name and t.state in ('starting', 'running', 'needs you')) as active
    from agents a`;

function toAgent(row: AgentRow): Agent {
  const detection = JSON.parse(row.detection) as Detection;
  const active = Number(row.active);
  return {
    name: row.name,
    backend: row.backend,
    ...stateOf(detection, active),
    role: row.role,
    skills: JSON.parse(row.skills) as string[],
    limit: row.max_sessions,
    active,
    demo: row.demo === 1,
    // Parsed, not cast: settings that came later get their defaults.
    settings: AgentSettings.parse(JSON.parse(row.settings)),
    detection,
  };
}

export async function findAgent(read: Reader, name: string): Promise<Agent | null> {
  const row = await read.one<AgentRow>(sql`${agents} where a.name = ${name}`);
  return row ? toAgent(row) : null;
}

/** Throws AppError not_found. */
export async function getAgent(read: Reader, name: string): Promise<Agent> {
  const agent = await findAgent(read, name);
  if (!agent) throw notFound("agent", name, ["tutti agents"]);
  return agent;
}

/** All of them, in the order of their names. */
export async function listAgents(read: Reader): Promise<Agent[]> {
  const rows = await read.all<AgentRow>(sql`${agents} order by a.name`);
  return rows.map(toAgent);
}

/** All of them as who they are, without what they do: for whoever counts that by itself. */
export async function listProfiles(read: Reader): Promise<Agent[]> {
  const rows = await read.all<AgentRow>(sql`
    select name, backend, role, skills, max_sessions, demo, settings, detection, 0 as active from agents order by name`);
  return rows.map(toAgent);
}

export async function listAgentsAfter(read: Reader, { after, limit }: { after: string; limit: number }): Promise<Agent[]> {
  const rows = await read.all<AgentRow>(sql`${agents} where a.name > ${after} order by a.name limit ${limit}`);
  return rows.map(toAgent);
}

export const insertAgent = (agent: Agent, now: number): Statement =>
  statement(sql`
    insert into agents (name, backend, state, reason, role, skills, max_sessions, demo, settings, detection, created_at)
    values (${agent.name}, ${agent.backend}, ${agent.state}, ${agent.reason}, ${agent.role}, ${JSON.stringify(agent.skills)}, ${agent.limit},
            ${Number(agent.demo)}, ${JSON.stringify(agent.settings)}, ${JSON.stringify(agent.detection)}, ${now})`);

/** What a person may change, and what detection says about the agent as it is then. */
export const updateAgent = (agent: Agent): Statement =>
  statement(sql`
    update agents set state = ${agent.state}, reason = ${agent.reason}, role = ${agent.role}, skills = ${JSON.stringify(agent.skills)},
           max_sessions = ${agent.limit}, demo = ${Number(agent.demo)}, settings = ${JSON.stringify(agent.settings)},
           detection = ${JSON.stringify(agent.detection)}
     where name = ${agent.name}`);

/** Only what detection found: a probe that fails erases nothing that a person saved. */
export const updateDetection = (agent: Agent): Statement =>
  statement(sql`
    update agents set state = ${agent.state}, reason = ${agent.reason}, detection = ${JSON.stringify(agent.detection)} where name = ${agent.name}`);

/** Not while it has work. */
export const deleteAgent = (name: string): Statement =>
  statement(sql`
    delete from agents where name = ${name}
       and not exists (select 1 from tasks where agent = ${name} and state in ('starting', 'running', 'needs you'))`);
