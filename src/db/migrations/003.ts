import type { SchemaStatement } from "../migrate.ts";

/**
 * The durable queue: lanes, delays, deadlines, limits, and what is hot in one narrow row. On SQLite the tables that are only found by
 * their key lose their second b-tree.
 */
export const version = 3;

const withoutRowid = (table: string, columns: string, names: string): SchemaStatement[] => [
  { sqlite: `alter table ${table} rename to ${table}_before`, postgres: null },
  { sqlite: `create table ${table} (${columns}) without rowid`, postgres: null },
  { sqlite: `insert into ${table} (${names}) select ${names} from ${table}_before`, postgres: null },
  { sqlite: `drop table ${table}_before`, postgres: null },
];

export const statements: readonly SchemaStatement[] = [
  // seq: the order of creation. ready: 1 when nothing but room is missing. lane: which agents may take it and what limits it shares;
  // tasks of one lane wait for the same thing. limits: a JSON list of {key, limit}. dependents: how many tasks were made to wait for it.
  `alter table tasks add column seq bigint not null default 0`,
  `alter table tasks add column ready integer not null default 0`,
  `alter table tasks add column lane text not null default ''`,
  `alter table tasks add column limits text`,
  `alter table tasks add column deadline bigint`,
  // cancel_requested: 0 no, 1 by a person, 2 its deadline is over.
  `alter table tasks add column cancel_requested integer not null default 0`,
  `alter table tasks add column cancel_at bigint`,
  `alter table tasks add column crashes integer not null default 0`,
  `alter table tasks add column failures integer not null default 0`,
  `alter table tasks add column dependents integer not null default 0`,
  `update tasks set seq = cast(substr(id, 3) as integer),
     ready = case when state = 'queued' and needs_left = 0 then 1 else 0 end,
     cancel_requested = (select d.cancel_requested from task_details d where d.task = tasks.id),
     cancel_at = (select case when d.cancel_requested = 1 then tasks.updated_at end from task_details d where d.task = tasks.id),
     crashes = (select d.crashes from task_details d where d.task = tasks.id),
     failures = (select count(*) from attempts a where a.task = tasks.id and a.state = 'failed' and a.reason <> 'interrupted'),
     dependents = (select count(*) from task_needs n where n.need = tasks.id)`,
  `update tasks set ready = 0 where cancel_requested <> 0`,
  `alter table task_details drop column cancel_requested`,
  `alter table task_details drop column crashes`,
  `alter table attempts add column why text`,
  `alter table attempts add column token_hashes text`,
  `update attempts set why = (select d.why from task_details d where d.task = attempts.task)`,
  `alter table task_details drop column why`,
  ...withoutRowid(
    "tasks",
    `id text primary key, project text not null, kind text not null, state text not null, reason text,
     priority integer not null, attempt integer not null, needs_left integer not null, ready_at bigint not null,
     run text, step text, agent text, session text, runner text, runner_epoch bigint,
     created_at bigint not null, updated_at bigint not null, cleared_at bigint,
     seq bigint not null default 0, ready integer not null default 0, lane text not null default '', limits text, deadline bigint,
     cancel_requested integer not null default 0, cancel_at bigint, crashes integer not null default 0, failures integer not null default 0,
     dependents integer not null default 0`,
    `id, project, kind, state, reason, priority, attempt, needs_left, ready_at, run, step, agent, session, runner, runner_epoch, created_at, updated_at,
     cleared_at, seq, ready, lane, limits, deadline, cancel_requested, cancel_at, crashes, failures, dependents`,
  ),
  // On SQLite they went with the table.
  ...["ready", "held", "created"].map((name): SchemaStatement => ({ sqlite: null, postgres: `drop index tasks_${name}` })),
  ...[
    `create index tasks_run on tasks (run) where run is not null`,
    `create index tasks_review on tasks (updated_at)
      where state = 'done' and kind = 'agent' and run is null and (cleared_at is null or cleared_at < updated_at)`,
    `create index tasks_unmerged on tasks (updated_at)
      where state = 'cancelled' and kind = 'merge' and run is null and (cleared_at is null or cleared_at < updated_at)`,
    `create index tasks_failed on tasks (updated_at) where state = 'failed' and run is null and (cleared_at is null or cleared_at < updated_at)`,
    `create index tasks_ended on tasks (updated_at, state, project, agent) where state in ('done', 'failed', 'cancelled')`,
  ].map((sqlite): SchemaStatement => ({ sqlite, postgres: null })),
  `create index runs_open on runs (project) where finished_at is null`,
  `create index tasks_seq on tasks (seq)`,
  `create index tasks_claim on tasks (project, lane, priority desc, seq) where ready = 1`,
  // What is at work: limits, load, and what a runner has. Queries name the condition word for word, or SQLite does not see the index.
  `create index tasks_active on tasks (agent, project, limits, runner, runner_epoch) where state in ('starting', 'running', 'needs you')`,
  {
    sqlite: `create index tasks_live on tasks (project, agent, state) where state in ('queued', 'starting', 'running', 'needs you', 'paused')`,
    postgres: null,
  },
  `create index tasks_due on tasks (ready_at) where ready = 0 and needs_left = 0 and cancel_requested = 0 and state in ('queued', 'paused')`,
  `create index tasks_deadline on tasks (deadline) where deadline is not null and state in ('queued', 'starting', 'running', 'needs you', 'paused')`,
  `create index tasks_cancel on tasks (project) where cancel_requested <> 0 and state in ('queued', 'starting', 'running', 'needs you', 'paused')`,
  // The runner whose machine has the session's clone.
  `alter table sessions add column runner text`,
  // An agent's token is part of its attempt: the hashes of those that it was given, with spaces between.
  `delete from tokens where kind = 'agent'`,
  ...withoutRowid(
    "attempts",
    `task text not null, attempt integer not null, state text not null, reason text, message text, agent text, session text,
     runner text not null, runner_epoch bigint not null, started_at bigint not null, finished_at bigint, why text, token_hashes text,
     primary key (task, attempt)`,
    "task, attempt, state, reason, message, agent, session, runner, runner_epoch, started_at, finished_at, why, token_hashes",
  ),
  ...withoutRowid(
    "idempotency",
    `actor text not null, key text not null, command text not null, hash text not null, response text, at bigint not null, primary key (actor, key)`,
    "actor, key, command, hash, response, at",
  ),
  ...withoutRowid(
    "events",
    `stream text not null, seq bigint not null, type text not null, at bigint not null, task text, run text, session text,
     data text not null, payload_hash text not null, hash text not null, primary key (stream, seq)`,
    "stream, seq, type, at, task, run, session, data, payload_hash, hash",
  ),
  ...withoutRowid(
    "sessions",
    `id text primary key, project text not null, task text not null, agent text not null, state text not null, reason text,
     vendor_session text, branch text not null, base text, commit_id text, not_included text not null, demo integer not null,
     created_at bigint not null, updated_at bigint not null, runner text`,
    "id, project, task, agent, state, reason, vendor_session, branch, base, commit_id, not_included, demo, created_at, updated_at, runner",
  ),
  { sqlite: `create index sessions_task on sessions (task)`, postgres: null },
  ...withoutRowid(
    "audit",
    "id text primary key, at bigint not null, actor text not null, actor_kind text not null, command text not null, input_hash text not null",
    "id, at, actor, actor_kind, command, input_hash",
  ),
  { sqlite: `create index events_task on events (task) where task is not null`, postgres: null },
  { sqlite: `create index events_run on events (run) where run is not null`, postgres: null },
  `create index idempotency_at on idempotency (at)`,
  // Rows that change three times in a second want room in their page and early cleaning.
  {
    sqlite: null,
    postgres: `alter table tasks set (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0)`,
  },
  { sqlite: null, postgres: `alter table attempts set (fillfactor = 80)` },
];
