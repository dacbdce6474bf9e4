import { agentTokenPlan } from "../access/grant.ts";
import type { Agent } from "../agents/agent.ts";
import { listAgents } from "../agents/store.ts";
import { mergePlans, sql, statement, type Db, type Plan } from "../db/plan.ts";
import type { BrokerAccess } from "../models/model.ts";
import { ProjectSettings } from "../projects/project.ts";
import { route } from "../router/route.ts";
import type { Assignment, ToRunner } from "../runners/message.ts";
import { getTaskSpec, type TaskRow } from "../tasks/store.ts";
import type { Reason } from "../tasks/task.ts";
import { countActive, countProjectActive, findProject, listReady, orchestratorFence, type Lease, type ProjectRow } from "./store.ts";

export interface AssignOptions {
  db: Db;
  /** The runner that gets the work: this server's own. */
  runner: { id: string; epoch: number };
  /** Where agents reach the server, and their models. */
  url: string;
  brokerOf(agent: Agent): Promise<Omit<BrokerAccess, "token"> | null>;
  now(): number;
  send(message: ToRunner): void;
}

/** How many ready tasks are looked at in one go. */
const batchSize = 50;

/**
 * Gives ready tasks of one project to agents: reads a batch, routes each, writes the assignment under the orchestrator's
 * fence, and only then tells the runner. Answers how many were given out.
 */
export async function assignReady(options: AssignOptions, lease: Lease): Promise<number> {
  const { db } = options;
  const project = await findProject(db.read, lease.project);
  if (!project) return 0;
  const settings = ProjectSettings.parse(JSON.parse(project.settings));
  let room = settings.limit - (await countProjectActive(db.read, project.id));
  const [ready, agents, active] = [await listReady(db.read, project.id, batchSize), await listAgents(db.read), await countActive(db.read)];
  let given = 0;
  for (const task of ready) {
    if (room <= 0) break;
    const { spec, followUp } = await getTaskSpec(db.read, task.id);
    const candidates = agents.map((agent) => ({ agent, active: active.get(agent.name) ?? 0 }));
    // A session goes on with the agent that it began with, as long as there is that agent.
    const begun = task.session !== null && agents.find(({ name }) => name === task.agent);
    const chosen =
      spec.kind === "agent"
        ? route(begun ? { name: begun.name } : spec.agent, candidates)
        : ({ kind: "agent", agent: null, why: "no agent is needed" } as const);
    if (chosen.kind === "wait") {
      await noteWait(db, lease, task, chosen.reason);
      continue;
    }
    if (spec.kind === "agent" && followUp !== null) spec.prompt = followUp;
    const assignment = await give(options, lease, { project, settings, task, agent: chosen.agent, why: chosen.why, spec });
    if (!assignment) continue;
    options.send(assignment);
    if (chosen.agent) active.set(chosen.agent.name, (active.get(chosen.agent.name) ?? 0) + 1);
    room -= 1;
    given += 1;
  }
  return given;
}

/** Why it waits is written once, not at every look. */
async function noteWait(db: Db, lease: Lease, task: TaskRow, reason: Reason): Promise<void> {
  if (task.reason === reason) return;
  await db.commit({
    statements: [
      orchestratorFence(lease),
      statement(
        sql`update tasks set reason = ${reason} where id = ${task.id} and attempt = ${task.attempt} and state = ${task.state}`,
        "any",
      ),
    ],
    events: [],
  });
}

interface Choice {
  project: ProjectRow;
  settings: ProjectSettings;
  task: TaskRow;
  agent: Agent | null;
  why: string;
  spec: Assignment["spec"];
}

interface SessionBefore {
  id: string;
  branch: string;
  vendor_session: string | null;
  agent: string;
}

/** Writes one assignment. null: somebody else was faster, or the lease is gone. */
async function give(options: AssignOptions, lease: Lease, choice: Choice): Promise<Assignment | null> {
  const { db, runner } = options;
  const { project, settings, task, agent, spec } = choice;
  const now = options.now();
  const attempt = task.attempt + 1;
  const who = agent?.name ?? "tutti";
  const before = task.session
    ? await db.read.one<SessionBefore>(sql`select id, branch, vendor_session, agent from sessions where id = ${task.session}`)
    : null;
  const session = before?.agent === who ? before : null;
  const id = session?.id ?? `S-${await db.nextNumber("session")}`;
  const label = task.run && task.step ? `${task.run}/${task.step}` : `task/${task.id}`;
  const branch =
    session?.branch ??
    `tutti/${task.run && task.step ? `${task.run}-${task.step.replaceAll(/[^A-Za-z0-9]+/g, "-").replace(/-$/, "")}` : task.id}`;
  const granted = agent ? agentTokenPlan({ session: id, name: agent.name, now }) : null;
  const turns = session
    ? await db.read.all<{ turn: number; prompt: string; outcome: string | null; state: string }>(
        sql`select turn, prompt, outcome, state from turns where session = ${id} order by turn`,
      )
    : [];
  const plan: Plan = mergePlans(planAssignment(lease, choice, { attempt, session: id, isNew: !session, branch, who, runner, now }), {
    statements: granted?.plan.statements ?? [],
    events: [],
  });
  const committed = await db.commit(plan);
  if (committed.kind === "conflict") return null;
  const broker = agent ? await options.brokerOf(agent) : null;
  return {
    kind: "assign",
    task: task.id,
    attempt,
    title: task.title,
    project: {
      id: project.id,
      source: project.source,
      baseBranch: project.base_branch,
      sandbox: settings.sandbox,
      setup: settings.setup,
      deliver: settings.deliver,
    },
    session: id,
    branch,
    spec,
    agent,
    access: granted ? { url: options.url, token: granted.token } : null,
    broker: broker && granted ? { ...broker, token: granted.token } : null,
    vendorSession: session?.vendor_session ?? null,
    past: turns.flatMap(({ prompt, outcome }) => {
      const ended = outcome === null ? null : (JSON.parse(outcome) as { kind: string; output?: string });
      return ended?.kind === "done" ? [{ prompt, output: ended.output ?? "" }] : [];
    }),
    interrupted: turns.length > 0 && turns.at(-1)?.outcome === null,
    nextTurn: (turns.at(-1)?.turn ?? 0) + 1,
    publish: task.run || spec.kind !== "agent" ? null : branch,
    label,
  };
}

function planAssignment(
  lease: Lease,
  { task, agent, why, project }: Choice,
  given: {
    attempt: number;
    session: string;
    isNew: boolean;
    branch: string;
    who: string;
    runner: { id: string; epoch: number };
    now: number;
  },
): Plan {
  const { attempt, session, runner, now } = given;
  return {
    statements: [
      orchestratorFence(lease),
      statement(sql`
        update tasks set state = 'starting', reason = null, attempt = ${attempt}, agent = ${agent?.name ?? null}, session = ${session},
               runner = ${runner.id}, runner_epoch = ${runner.epoch}, updated_at = ${now}
         where id = ${task.id} and attempt = ${task.attempt} and state = ${task.state} and needs_left = 0`),
      statement(sql`update task_details set why = ${why}, message = null where task = ${task.id} and cancel_requested = 0`),
      statement(sql`
        insert into attempts (task, attempt, state, agent, session, runner, runner_epoch, started_at)
        values (${task.id}, ${attempt}, 'starting', ${agent?.name ?? null}, ${session}, ${runner.id}, ${runner.epoch}, ${now})`),
      given.isNew
        ? statement(sql`
            insert into sessions (id, project, task, agent, state, branch, not_included, demo, created_at, updated_at)
            values (${session}, ${project.id}, ${task.id}, ${given.who}, 'starting', ${given.branch}, '[]', ${Number(agent?.demo ?? false)}, ${now}, ${now})`)
        : statement(sql`update sessions set state = 'starting', reason = null, updated_at = ${now} where id = ${session}`),
      ...(task.run && task.step
        ? [
            statement(
              sql`update steps set state = 'starting', reason = null, message = null where run = ${task.run} and id = ${task.step} and finished_at is null`,
            ),
          ]
        : []),
    ],
    events: [
      {
        stream: project.id,
        type: "task.assigned",
        task: task.id,
        run: task.run,
        session,
        data: {
          attempt,
          agent: agent?.name ?? null,
          demo: agent?.demo ?? false,
          why: why.slice(0, 500),
          step: task.step,
          title: task.title,
        },
      },
    ],
  };
}
