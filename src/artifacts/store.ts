import { join, list, sql, statement, type Reader, type Sql } from "../db/plan.ts";

/**
 * Every column that keeps an artifact from being collected. A column that names artifacts and stands in neither list fails a test: by
 * its name in collect.test.ts, by what is in it in test/large-results.test.ts.
 */
export const referencingColumns = [
  { table: "turns", column: "transcript" },
  { table: "artifact_uses", column: "artifact" },
  { table: "packs", column: "artifact" },
] as const;

/** Where references stand inside of JSON: copies of what a task gave, which artifact_uses keeps as long as its session is there. */
export const copyingColumns = [
  { table: "task_details", column: "result" },
  { table: "task_details", column: "spec" },
  { table: "steps", column: "items" },
  { table: "approvals", column: "action" },
] as const;

/** A part of a statement that is written here and not given from outside. */
const text = (written: string): Sql => ({ pieces: [written] });

const isReferenced = (id: string): Sql =>
  join(
    referencingColumns.map(({ table, column }) => sql`exists (select 1 from ${text(table)} where ${text(column)} = ${id})`),
    " or ",
  );

/** Those of the ids that some row names. */
export async function listReferenced(read: Reader, ids: readonly string[]): Promise<Set<string>> {
  const each = referencingColumns.map(
    ({ table, column }) => sql`select ${text(column)} as id from ${text(table)} where ${text(column)} in (${list(ids)})`,
  );
  return new Set((await read.all<{ id: string }>(join(each, " union "))).map(({ id }) => id));
}

/**
 * Goes into the plan with the row that names an artifact. An artifact that is named anew is young again, whenever it was named
 * first: on PostgreSQL a collector that wants its row waits for this plan, and then leaves it.
 */
export const nameArtifact = ({ id, size }: { id: string; size: number }, now: number) =>
  statement(
    sql`insert into artifacts (id, size, created_at) values (${id}, ${size}, ${now})
        on conflict (id) do update set created_at = excluded.created_at`,
  );

export const insertUse = (session: string, artifact: string) =>
  statement(
    sql`insert into artifact_uses (session, artifact) values (${session}, ${artifact}) on conflict (session, artifact) do nothing`,
    "any",
  );

export const forgetUnreferenced = (id: string, ageMs: number) =>
  statement(sql`delete from artifacts where id = ${id} and created_at < tutti_now() - ${ageMs} and not (${isReferenced(id)})`, "any");

export const isKnown = async (read: Reader, id: string): Promise<boolean> =>
  (await read.one(sql`select 1 as known from artifacts where id = ${id}`)) !== null;

/** Bytes of all artifacts that a session's rows name, without the one given. */
export async function sessionBytes(read: Reader, session: string, without: string): Promise<number> {
  const row = await read.one<{ bytes: number }>(sql`
    select coalesce(sum(size), 0) as bytes from artifacts
     where id <> ${without}
       and id in (select artifact from artifact_uses where session = ${session}
                  union select transcript from turns where session = ${session} and transcript is not null)`);
  return row?.bytes ?? 0;
}
