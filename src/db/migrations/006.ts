import type { SchemaStatement } from "../migrate.ts";

/** Runners as processes of their own. */
export const version = 6;

export const statements: readonly SchemaStatement[] = [
  // Where a runner's clones are, the server that it is connected to, and how much it takes. capacity null: no limit of its own.
  `alter table runners add column home text`,
  `alter table runners add column server text`,
  `alter table runners add column capacity integer`,
  `alter table runners add column draining integer not null default 0`,
  // The newest message that was taken of an attempt: one that is told again is known by its number.
  `alter table attempts add column told bigint not null default 0`,
  // The attempt that asked: its runner can be given the answer again, whoever restarted in between.
  `alter table approvals add column attempt integer`,
  `create index approvals_attempt on approvals (task, attempt) where attempt is not null`,

  // Commits as other homes can take them (src/workspaces/pack.ts): each carries all that the project's base branch does not have.
  `create table packs (
    project text not null, commit_id text not null, artifact text not null, size bigint not null, created_at bigint not null,
    primary key (project, commit_id))`,
  `create index packs_artifact on packs (artifact)`,
];
