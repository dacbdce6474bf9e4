import { newAgentToken } from "../access/grant.ts";
import type { Agent } from "../agents/agent.ts";
import { listProfiles } from "../agents/store.ts";
import { agentSubject, mayChoose } from "../breakers/breaker.ts";
import { planTrial } from "../breakers/count.ts";
import { openBreakers } from "../breakers/store.ts";
import { defineRows, emptyPlan, list, onlyPostgres, sql, statement, type Db, type Plan, type Statement } from "../db/plan.ts";
import { ProjectSettings } from "../projects/project.ts";
import { wantedBy, type Candidate } from "../router/route.ts";
import type { Connections } from "../runners/connections.ts";
import type { Assignment } from "../runners/message.ts";
import type { BrokerAccess } from "../models/model.ts";
import { readLane, readLimits, type Lane } from "../tasks/lane.ts";
import { runnerLeaseFence } from "../tasks/store.ts";
import type { Reason, TaskSpec } from "../tasks/task.ts";
import { chooseRunner, type RunnerLoad } from "./choose-runner.ts";
import { chooseWork, roomFor, type Given, type Held, type LaneView, type Room } from "./choose.ts";
import { assignmentOf, pastOf, willDeliver } from "./deliver.ts";
import {
  countByAgent,
  countByRunner,
  countInProject,
  findProject,
  listAway,
  listLanes,
  listReady,
  listRunners,
  orchestratorFence,
  type Lease,
  type ProjectRow,
  type ReadyTask,
} from "./store.ts";

export interface AssignOptions {
  db: Db;
  /** The runners that this server can speak to; others are told by the server that they listen to. */
  connections: Connections;
  /** Where agents reach the server, and their models. */
  url: string;
  brokerOf(agent: Agent): Promise<Omit<BrokerAccess, "token"> | null>;
  now(): number;
  /** The agents as they are known now; left out: as the store has them. */
  agents?: () => Promise<Agent[]>;
  /** null: work may start; otherwise why nothing new does (a disk that is nearly full). */
  holdsBack?: () => Held | null;
  /** Whether runners at other servers need the commits of this one: then work travels as packs. */
  sharesWork?: boolean;
}

/** How many tasks are given out in one plan. */
export const batchSize = 200;
const mostLanes = 500;
/** Of a lane that is held up so many of the first tasks say why. */
const notedTasks = 50;
/** A session waits so long for the machine that has its clone before it goes on elsewhere. */
const awayMs = 20_000;

/**
 * Gives ready tasks of one project to agents and runners: looks at the first tasks of each lane, chooses (pure), writes the batch under the
 * orchestrator's fence, and only then tells the runners. Answers how many were given out.
 */
export async function assignReady(options: AssignOptions, lease: Lease): Promise<number> {
  const { db } = options;
  const texts = await listLanes(db.read, lease.project, mostLanes);
  if (texts.length === 0) return 0;
  const project = await findProject(db.read, lease.project);
  if (!project) return 0;
  const settings = ProjectSettings.parse(JSON.parse(project.settings));
  const lanes = texts.map(readLane);
  const room = await roomOf(options, project.id, settings.limit, lanes);
  const views = await viewLanes(options, project.id, texts, room);
  const { given, held } = chooseWork(views.lanes, room);
  for (const [index, why] of held) views.held.set(views.texts[index] ?? "", why);
  const placed = await placeOnRunners(options, given);
  if (placed.held) for (const text of views.texts) views.held.set(text, placed.held);
  const count = await giveOut(options, lease, { project, settings }, placed.work);
  await noteHeld(db, lease, views.held);
  return count;
}

/** What the lanes may use. null among them: tasks from before there were lanes, which may want anybody. */
async function roomOf(options: AssignOptions, project: string, limit: number, lanes: readonly (Lane | null)[]): Promise<Room> {
  const { db, now } = options;
  const all = await (options.agents ? options.agents() : listProfiles(db.read));
  const selectors = lanes.flatMap((lane) => lane?.agent ?? []);
  const agents = lanes.includes(null) ? all : wantedBy(selectors, all);
  const busy =
    agents.length === 0
      ? new Map<string, number>()
      : await countByAgent(
          db.read,
          agents.map(({ name }) => name),
        );
  const breakers = await openBreakers(db.read);
  const candidates = new Map(
    agents.map((agent): [string, Candidate] => [
      agent.name,
      { agent, active: busy.get(agent.name) ?? 0, breaker: mayChoose(breakers.get(agentSubject(agent.name)), now()) },
    ]),
  );
  const keys = new Map<string, number>();
  let inProject = 0;
  for (const { limits, count } of await countInProject(db.read, project)) {
    inProject += Number(count);
    for (const { key } of readLimits(limits)) keys.set(key, (keys.get(key) ?? 0) + Number(count));
  }
  return { candidates, keys, project: Math.min(batchSize, limit - inProject) };
}

interface Views {
  lanes: LaneView<ReadyTask>[];
  /** The lanes' texts, by the place in `lanes`. */
  texts: string[];
  /** By the lane's text. */
  held: Map<string, Held>;
}

/** Loads as many tasks of each lane as could start. Tasks from before there were lanes are each a lane of their own. */
async function viewLanes(options: AssignOptions, project: string, texts: string[], room: Room): Promise<Views> {
  const { read } = options.db;
  const views: Views = { lanes: [], texts: [], held: new Map() };
  const stopped = options.holdsBack?.() ?? null;
  for (const text of texts) {
    const lane = readLane(text);
    if (lane === null && !stopped) {
      for (const task of await listReady(read, project, text, notedTasks)) {
        views.lanes.push({ lane: laneOfTask(task, room), tasks: [task] });
        views.texts.push(text);
      }
      continue;
    }
    const { tasks, held } = stopped || lane === null ? { tasks: 0, held: stopped } : roomFor(lane, room);
    if (held) views.held.set(text, held);
    if (tasks <= 0 || lane === null) continue;
    views.lanes.push({ lane, tasks: await listReady(read, project, text, Math.min(tasks, batchSize)) });
    views.texts.push(text);
  }
  return views;
}

function laneOfTask(task: ReadyTask, { candidates }: Room): Lane {
  const spec = JSON.parse(task.spec) as TaskSpec;
  const begun = task.session !== null && task.agent !== null && candidates.has(task.agent) ? { name: task.agent } : null;
  return { agent: spec.kind === "agent" ? (begun ?? spec.agent) : null, limits: readLimits(task.limits) };
}

interface Placed extends Given<ReadyTask> {
  runner: RunnerLoad;
}

/** A machine for each; what has a clone on one that went away just now waits a little for it. */
async function placeOnRunners(options: AssignOptions, given: Given<ReadyTask>[]): Promise<{ work: Placed[]; held: Held | null }> {
  if (given.length === 0) return { work: [], held: null };
  const { db, connections } = options;
  const busy = await countByRunner(db.read);
  const runners = (await listRunners(db.read)).map((runner): RunnerLoad => ({
    ...runner,
    active: busy.get(runner.id) ?? 0,
    isHere: connections.find(runner.id)?.epoch === runner.epoch,
  }));
  const begun = given.some(({ task }) => task.session !== null);
  const away = begun ? await listAway(db.read, awayMs) : new Set<string>();
  const homes = begun ? await homesOf(db, given) : new Map<string, string>();
  const work: Placed[] = [];
  for (const one of given) {
    const home = one.task.session === null ? null : (homes.get(one.task.session) ?? null);
    if (home !== null && away.has(home)) continue;
    const runner = chooseRunner(runners, home);
    if (!runner) return { work, held: { reason: "no runner", why: "no machine that runs agents has room" } };
    runner.active += 1;
    work.push({ ...one, runner });
  }
  return { work, held: null };
}

async function homesOf({ read }: Db, given: Given<ReadyTask>[]): Promise<Map<string, string>> {
  const sessions = given.flatMap(({ task }) => task.session ?? []);
  const rows = await read.all<{ id: string; runner: string }>(
    sql`select id, runner from sessions where id in (${list(sessions)}) and runner is not null`,
  );
  return new Map(rows.map(({ id, runner }) => [id, runner]));
}

interface SessionBefore {
  id: string;
  branch: string;
  vendor_session: string | null;
  agent: string;
  runner: string | null;
  base: string | null;
  commit_id: string | null;
}

/** A task with everything that its start writes and tells. */
export interface Start {
  task: ReadyTask;
  spec: TaskSpec;
  agent: Agent | null;
  isTrial: boolean;
  why: string;
  runner: RunnerLoad;
  attempt: number;
  session: {
    id: string;
    branch: string;
    isNew: boolean;
    vendorSession: string | null;
    runner: string | null;
    base: string | null;
    commit: string | null;
  };
  /** Given to the agent when its runner is spoken to from here. */
  token: { text: string; hash: string } | null;
}

/** Writes the starts, together or, when one of them was overtaken, each by itself; and tells the runners. */
async function giveOut(
  options: AssignOptions,
  lease: Lease,
  where: { project: ProjectRow; settings: ProjectSettings },
  work: Placed[],
): Promise<number> {
  if (work.length === 0) return 0;
  const starts = await Promise.all(work.map((one) => prepare(options, one)));
  if (await start(options, lease, where, starts)) return starts.length;
  if (starts.length === 1) return 0;
  let count = 0;
  for (const one of starts) if (await start(options, lease, where, [one])) count += 1;
  return count;
}

/** false: one of them was overtaken, or the lease is gone, and nothing was written. */
async function start(
  options: AssignOptions,
  lease: Lease,
  where: { project: ProjectRow; settings: ProjectSettings },
  starts: Start[],
): Promise<boolean> {
  const here = starts.flatMap((one) => {
    const connection = options.connections.find(one.runner.id);
    if (!connection || connection.epoch !== one.runner.epoch || (one.agent && one.token === null)) return [];
    return [{ one, tell: willDeliver(connection, { task: one.task.id, attempt: one.attempt }) }];
  });
  const committed = await options.db.commit(planStarts(lease, starts, options.now())).catch((error: unknown) => {
    for (const { tell } of here) tell(null);
    throw error;
  });
  const isWritten = committed.kind === "committed";
  // A message that cannot be made now is made at the next look, out of the rows.
  for (const { one, tell } of here) tell(isWritten ? await messageOf(options, where, one).catch(() => null) : null);
  return committed.kind === "committed";
}

async function prepare(options: AssignOptions, { task, agent, isTrial, why, runner }: Placed): Promise<Start> {
  const { db } = options;
  const spec = JSON.parse(task.spec) as TaskSpec;
  if (spec.kind === "agent" && task.follow_up !== null) spec.prompt = task.follow_up;
  const before = task.session
    ? await db.read.one<SessionBefore>(
        sql`select id, branch, vendor_session, agent, runner, base, commit_id from sessions where id = ${task.session}`,
      )
    : null;
  const attempt = task.attempt + 1;
  const old = before?.agent === whoOf(agent) ? before : null;
  const session = {
    id: old?.id ?? `S-${await db.nextNumber("session")}`,
    branch: old?.branch ?? branchOf(task),
    isNew: old === null,
    vendorSession: old?.vendor_session ?? null,
    runner: old?.runner ?? null,
    base: old?.base ?? null,
    commit: old?.commit_id ?? null,
  };
  const token = agent && runner.isHere ? newAgentToken(task.id, attempt) : null;
  return { task, spec, agent, isTrial, why, runner, attempt, session, token };
}

const whoOf = (agent: Agent | null): string => agent?.name ?? "tutti";

export const labelOf = ({ id, run, step }: { id: string; run: string | null; step: string | null }): string =>
  run && step ? `${run}/${step}` : `task/${id}`;

export const branchOf = ({ id, run, step }: { id: string; run: string | null; step: string | null }): string =>
  `tutti/${run && step ? `${run}-${step.replaceAll(/[^A-Za-z0-9]+/g, "-").replace(/-$/, "")}` : id}`;

const startTasks = defineRows(
  "start task",
  {
    id: "text",
    before: "bigint",
    attempt: "bigint",
    agent: "text",
    session: "text",
    runner: "text",
    runner_epoch: "bigint",
    now: "bigint",
  },
  (v) => sql`
    update tasks set state = 'starting', reason = null, ready = 0, attempt = ${v.attempt}, agent = ${v.agent}, session = ${v.session},
           runner = ${v.runner}, runner_epoch = ${v.runner_epoch}, updated_at = ${v.now} ${v.from}
     where tasks.id = ${v.id} and tasks.attempt = ${v.before} and tasks.state = 'queued' and tasks.ready = 1 and tasks.needs_left = 0
       and tasks.cancel_requested = 0`,
);

const insertAttempts = defineRows(
  "insert attempt",
  {
    task: "text",
    attempt: "bigint",
    agent: "text",
    session: "text",
    runner: "text",
    runner_epoch: "bigint",
    why: "text",
    token_hashes: "text",
    now: "bigint",
  },
  (v) => sql`
    insert into attempts (task, attempt, state, agent, session, runner, runner_epoch, why, token_hashes, started_at)
    select ${v.task}, ${v.attempt}, 'starting', ${v.agent}, ${v.session}, ${v.runner}, ${v.runner_epoch}, ${v.why}, ${v.token_hashes}, ${v.now}
           ${v.from}`,
);

const insertSessions = defineRows(
  "insert session",
  { id: "text", project: "text", task: "text", agent: "text", branch: "text", demo: "bigint", runner: "text", now: "bigint" },
  (v) => sql`
    insert into sessions (id, project, task, agent, state, branch, not_included, demo, runner, created_at, updated_at)
    select ${v.id}, ${v.project}, ${v.task}, ${v.agent}, 'starting', ${v.branch}, '[]', ${v.demo}, ${v.runner}, ${v.now}, ${v.now} ${v.from}`,
);

const resumeSessions = defineRows(
  "resume session",
  { id: "text", runner: "text", now: "bigint" },
  (v) => sql`
    update sessions set state = 'starting', reason = null, vendor_session = case when sessions.runner is null or sessions.runner = ${v.runner}
             then sessions.vendor_session end, runner = ${v.runner}, updated_at = ${v.now} ${v.from}
     where sessions.id = ${v.id}`,
);

const clearMessages = defineRows(
  "clear task's message",
  { task: "text" },
  (v) => sql`update task_details set message = null ${v.from} where task_details.task = ${v.task}`,
);

const startSteps = defineRows(
  "start step",
  { run: "text", id: "text" },
  (v) => sql`
    update steps set state = 'starting', reason = null, message = null ${v.from}
     where steps.run = ${v.run} and steps.id = ${v.id} and steps.finished_at is null`,
);

/** Orchestrators of several projects may give work to one agent: on PostgreSQL one after the other, always in the order of the names. */
const lockAgent = (name: string): Statement => statement(sql`select 1 from agents where name = ${name} ${onlyPostgres("for update")}`);

/** With these starts the agent has no more sessions than it may, over all projects. */
const withinLimit = (name: string): Statement =>
  statement(sql`
    select 1 from agents a where a.name = ${name}
       and (select count(*) from tasks t where t.agent = a.name and t.state in ('starting', 'running', 'needs you')) <= a.max_sessions`);

function planStarts(lease: Lease, starts: Start[], now: number): Plan {
  const plan = emptyPlan();
  const agents = [...new Set(starts.flatMap(({ agent }) => agent?.name ?? []))].toSorted();
  plan.statements.push(
    orchestratorFence(lease),
    // Given to a life of a runner that is over, an attempt would be lost at once.
    ...[...new Map(starts.map(({ runner }) => [runner.id, runner])).values()].map(({ id, epoch }) =>
      runnerLeaseFence({ runner: id, runnerEpoch: epoch }),
    ),
    ...agents.map(lockAgent),
    startTasks(
      ...starts.map(({ task, attempt, agent, session, runner }) => ({
        id: task.id,
        before: task.attempt,
        attempt,
        agent: agent?.name ?? null,
        session: session.id,
        runner: runner.id,
        runner_epoch: runner.epoch,
        now,
      })),
    ),
    insertAttempts(
      ...starts.map(({ task, attempt, agent, session, runner, why, token }) => ({
        task: task.id,
        attempt,
        agent: agent?.name ?? null,
        session: session.id,
        runner: runner.id,
        runner_epoch: runner.epoch,
        why,
        token_hashes: token?.hash ?? null,
        now,
      })),
    ),
  );
  plan.statements.push(...agents.map(withinLimit));
  const [made, again] = [starts.filter(({ session }) => session.isNew), starts.filter(({ session }) => !session.isNew)];
  if (made.length > 0) {
    plan.statements.push(
      insertSessions(
        ...made.map(({ task, agent, session, runner }) => ({
          id: session.id,
          project: task.project,
          task: task.id,
          agent: whoOf(agent),
          branch: session.branch,
          demo: Number(agent?.demo ?? false),
          runner: runner.id,
          now,
        })),
      ),
    );
  }
  if (again.length > 0)
    plan.statements.push(resumeSessions(...again.map(({ session, runner }) => ({ id: session.id, runner: runner.id, now }))));
  const repeated = starts.filter(({ task }) => task.attempt > 0);
  if (repeated.length > 0) plan.statements.push(clearMessages(...repeated.map(({ task }) => ({ task: task.id }))));
  const steps = starts.flatMap(({ task: { run, step } }) => (run && step ? [{ run, id: step }] : []));
  if (steps.length > 0) plan.statements.push(startSteps(...steps));
  for (const start of starts) {
    if (start.isTrial && start.agent) {
      const subject = agentSubject(start.agent.name);
      plan.statements.push(...planTrial({ subject }, { attempt: `${start.task.id}/${start.attempt}`, now }).statements);
    }
    plan.events.push(assigned(start));
  }
  return plan;
}

const assigned = ({ task, attempt, agent, why, session, runner }: Start): Plan["events"][number] => ({
  stream: task.project,
  type: "task.assigned",
  task: task.id,
  run: task.run,
  session: session.id,
  data: {
    attempt,
    agent: agent?.name ?? null,
    demo: agent?.demo ?? false,
    why: why.slice(0, 500),
    step: task.step,
    title: task.title,
    runner: runner.id,
  },
});

/** For a runner that listens here; one that listens to another server is told by that one, as soon as it hears of the assignment. */
async function messageOf(
  options: AssignOptions,
  where: { project: ProjectRow; settings: ProjectSettings },
  one: Start,
): Promise<Assignment> {
  return await assignmentOf(options, where, one, one.session.isNew ? null : await pastOf(options.db.read, one.session.id));
}

/** Why tasks wait is written once for each reason, to the first of their lane. */
async function noteHeld(db: Db, lease: Lease, held: ReadonlyMap<string, Held>): Promise<void> {
  for (const [text, { reason }] of held) {
    const waiting = await db.read.all<{ id: string; reason: Reason | null }>(sql`
      select id, reason from tasks where project = ${lease.project} and lane = ${text} and ready = 1 order by priority desc, seq limit ${notedTasks}`);
    const unsaid = waiting.filter((task) => task.reason !== reason);
    if (unsaid.length === 0) continue;
    await db.commit({
      statements: [
        orchestratorFence(lease),
        ...unsaid.map(({ id }) =>
          statement(sql`update tasks set reason = ${reason} where id = ${id} and state = 'queued' and ready = 1`, "any"),
        ),
      ],
      events: [],
    });
  }
}
