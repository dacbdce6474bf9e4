import type { SchemaStatement } from "../migrate.ts";

/** Large results. */
export const version = 4;

const onlyPostgres = (postgres: string): SchemaStatement => ({ sqlite: null, postgres });

export const statements: readonly SchemaStatement[] = [
  // Which artifacts the results of a session name. `artifacts.created_at` is when a row named it last.
  `create table artifact_uses (session text not null, artifact text not null, primary key (session, artifact))`,
  `create index artifact_uses_artifact on artifact_uses (artifact)`,
  `create index turns_transcript on turns (transcript) where transcript is not null`,

  // The bytes themselves, where several servers share no disk: 256 KB chunks under the name of their upload, because the hash is
  // known at its end only. An upload that is no content (yet) is seen by nobody, and one that is a content cannot be deleted.
  onlyPostgres(`create table artifact_uploads (id text primary key, started_at bigint not null)`),
  onlyPostgres(`create table artifact_chunks (
    upload text not null references artifact_uploads on delete cascade, n integer not null, data bytea not null, primary key (upload, n))`),
  // Compressing what may be compressed already costs more than it saves.
  onlyPostgres(`alter table artifact_chunks alter column data set storage external`),
  onlyPostgres(`create table artifact_contents (
    id text primary key, upload text not null unique references artifact_uploads, size bigint not null, put_at bigint not null)`),
];
