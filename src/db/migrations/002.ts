/** The doors: tokens with scopes and an end, one-time links, the inbox's marks, notifications, providers of several protocols. */
export const version = 2;

export const statements: readonly string[] = [
  // scopes: a JSON list; null: all. A token without an end has no expires_at.
  `alter table tokens add column scopes text`,
  `alter table tokens add column expires_at bigint`,
  // A one-time link to the dashboard: only the hash of its code is kept, and it is used once.
  `create table links (
    hash text primary key, name text not null, scopes text, created_at bigint not null, expires_at bigint not null, used_at bigint)`,

  // api: which of OpenAI's two APIs; null: Chat Completions, or another protocol.
  `alter table providers add column protocol text not null default 'openai'`,
  `alter table providers add column api text`,

  // What a person did with an item of the inbox: nothing else records that it was seen.
  `create table inbox_marks (
    item text primary key, mark text not null, until_at bigint, marked_by text not null, marked_at bigint not null)`,
  // When a person dealt with what a task gave: merged it, or marked it done. Older than the task's last change, it says nothing.
  `alter table tasks add column cleared_at bigint`,
  // The inbox costs what is open, however long the history is. Queries name these conditions word for word, or SQLite does not see it.
  `create index tasks_review on tasks (updated_at)
    where state = 'done' and kind = 'agent' and run is null and (cleared_at is null or cleared_at < updated_at)`,
  `create index tasks_unmerged on tasks (updated_at)
    where state = 'cancelled' and kind = 'merge' and run is null and (cleared_at is null or cleared_at < updated_at)`,
  `create index tasks_failed on tasks (updated_at) where state = 'failed' and run is null and (cleared_at is null or cleared_at < updated_at)`,
  `create index task_details_waiting on task_details (task) where result like '%; finish with: %'`,
  // Roll-ups and lists read these alone: measured with 100,000 tasks.
  `create index tasks_live on tasks (project, agent, state) where state in ('queued', 'starting', 'running', 'needs you', 'paused')`,
  `create index tasks_ended on tasks (updated_at, state, project, agent) where state in ('done', 'failed', 'cancelled')`,
  `create index tasks_created on tasks (created_at, id)`,
  `create index turns_finished on turns (finished_at) where finished_at is not null`,
  `create index approvals_task on approvals (task) where state = 'open'`,
  `create index approvals_run on approvals (run) where run is not null`,

  // Where notifications go beside the inbox, and what is still to be sent. A secret lies in a file that only the server reads.
  `create table channels (
    name text primary key, kind text not null, url text not null, key_name text, topics text not null, enabled integer not null,
    message text, created_at bigint not null)`,
  `create table deliveries (
    id text primary key, channel text not null, topic text not null, payload text not null, state text not null, attempts integer not null,
    next_at bigint not null, message text, created_at bigint not null, updated_at bigint not null)`,
  `create index deliveries_due on deliveries (channel, next_at) where state = 'queued'`,
  `create index deliveries_created on deliveries (created_at, id)`,
  // How far a channel has come in a stream. A stream without a row is new to it: a channel begins with a row for each that is there.
  `create table notified (channel text not null, stream text not null, seq bigint not null, primary key (channel, stream))`,
];
