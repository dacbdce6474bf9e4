/** The first schema. Statements are the same for both databases; `bytea`-like hashes are hex text. */
export const version = 1;

export const statements: readonly string[] = [
  `create table projects (
    id text primary key, name text not null, source text not null unique, base_branch text not null,
    settings text not null, created_at bigint not null)`,
  `create table counters (name text primary key, next bigint not null)`,
  `create table orchestrators (
    project text primary key, holder text, epoch bigint not null default 0, lease_until bigint not null default 0,
    last_poll bigint not null default 0)`,
  `create table runners (
    id text primary key, holder text, epoch bigint not null default 0, lease_until bigint not null default 0, started_at bigint not null default 0)`,
  `create table agents (
    name text primary key, backend text not null, state text not null, reason text, role text, skills text not null,
    max_sessions integer not null, demo integer not null, settings text not null, detection text not null, created_at bigint not null)`,
  `create table providers (
    name text primary key, base_url text not null, model text not null, key_name text, created_at bigint not null)`,

  // Narrow and hot: what the assignment reads and every transition writes. The rest of a task stands in task_details.
  `create table tasks (
    id text primary key, project text not null, kind text not null, state text not null, reason text,
    priority integer not null, attempt integer not null, needs_left integer not null, ready_at bigint not null,
    run text, step text, agent text, session text, runner text, runner_epoch bigint,
    created_at bigint not null, updated_at bigint not null)`,
  `create index tasks_ready on tasks (project, priority, ready_at) where state = 'queued'`,
  `create index tasks_held on tasks (runner, runner_epoch) where state in ('starting', 'running', 'needs you')`,
  `create index tasks_run on tasks (run) where run is not null`,
  `create table task_details (
    task text primary key, title text not null, message text, verified integer, spec text not null, needs text not null,
    result text, why text, crashes integer not null default 0, cancel_requested integer not null default 0, follow_up text,
    finished_at bigint)`,
  `create table task_needs (task text not null, need text not null, primary key (task, need))`,
  `create index task_needs_need on task_needs (need)`,
  `create table attempts (
    task text not null, attempt integer not null, state text not null, reason text, message text, agent text, session text,
    runner text not null, runner_epoch bigint not null, started_at bigint not null, finished_at bigint,
    primary key (task, attempt))`,
  `create table sessions (
    id text primary key, project text not null, task text not null, agent text not null, state text not null, reason text,
    vendor_session text, branch text not null, base text, commit_id text, not_included text not null, demo integer not null,
    created_at bigint not null, updated_at bigint not null)`,
  `create index sessions_task on sessions (task)`,
  `create table turns (
    session text not null, turn integer not null, attempt integer not null, state text not null, prompt text not null,
    outcome text, usage_json text, commit_id text, transcript text, started_at bigint not null, finished_at bigint,
    primary key (session, turn))`,
  `create table transcript_segments (
    session text not null, turn integer not null, part integer not null, data text not null, primary key (session, turn, part))`,

  `create table runs (
    id text primary key, project text not null, flow text not null, state text not null, reason text, message text,
    graph text not null, inputs text not null, agents text not null, base text, revision bigint not null default 0,
    cancel_requested integer not null default 0, deadline bigint,
    created_at bigint not null, updated_at bigint not null, finished_at bigint)`,
  // An item of a group has its group as parent. Counters stand in the group's own row.
  `create table steps (
    run text not null, id text not null, parent text, position integer not null, kind text not null, state text not null,
    reason text, message text, verified integer, task text, approval text, output text, result text,
    wanted integer, created integer, done integer, failed integer, cancelled integer, items text,
    created_at bigint not null, finished_at bigint, primary key (run, id))`,
  `create index steps_parent on steps (run, parent, position)`,
  `create table approvals (
    id text primary key, project text not null, kind text not null, state text not null, task text, run text, step text,
    session text, agent text, question text not null, action text not null, hash text not null, options text not null,
    answer text, comment_text text, answered_by text, created_at bigint not null, expires_at bigint, answered_at bigint)`,
  `create index approvals_open on approvals (created_at) where state = 'open'`,

  `create table tokens (
    id text primary key, kind text not null, name text not null, hash text not null, session text,
    created_at bigint not null, revoked_at bigint)`,
  `create table idempotency (
    actor text not null, key text not null, command text not null, hash text not null, response text, at bigint not null,
    primary key (actor, key))`,
  `create table audit (
    id text primary key, at bigint not null, actor text not null, actor_kind text not null, command text not null, input_hash text not null)`,
  `create table artifacts (id text primary key, size bigint not null, created_at bigint not null)`,

  // A stream's row is the lock and the counter of its events; head is the newest hash of its chain.
  `create table streams (id text primary key, seq bigint not null, head text not null)`,
  `create table events (
    stream text not null, seq bigint not null, type text not null, at bigint not null, task text, run text, session text,
    data text not null, payload_hash text not null, hash text not null, primary key (stream, seq))`,
  `create index events_task on events (task) where task is not null`,
  `create index events_run on events (run) where run is not null`,
];
