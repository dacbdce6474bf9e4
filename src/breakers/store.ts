import { list, sql, statement, type Reader, type Sql, type Statement } from "../db/plan.ts";
import { failuresToOpen, windowLeast, windowMs, windowPercent, type BreakerRow } from "./breaker.ts";

const columns = sql`subject, state, failures, window_at, window_ok, window_failed, openings, opened_at, retry_at, trial_attempt,
  trial_until, reason, updated_at`;

export const findBreaker = (read: Reader, subject: string): Promise<BreakerRow | null> =>
  read.one<BreakerRow>(sql`select ${columns} from breakers where subject = ${subject}`);

/** Those that had trouble lately, in the order of their names; a few rows however many agents there are. */
export const listBreakers = (read: Reader, after: string, limit: number): Promise<BreakerRow[]> =>
  read.all<BreakerRow>(sql`select ${columns} from breakers where subject > ${after} order by subject limit ${limit}`);

/** Those that hold their subject back, by subject: what choosing an agent or a provider wants to know. */
export async function openBreakers(read: Reader): Promise<Map<string, BreakerRow>> {
  const rows = await read.all<BreakerRow>(sql`select ${columns} from breakers where state <> 'closed'`);
  return new Map(rows.map((row) => [row.subject, row]));
}

/** By subject; those without trouble have none. */
export async function listBreakersOf(read: Reader, subjects: readonly string[]): Promise<Map<string, BreakerRow>> {
  const rows = await read.all<BreakerRow>(sql`select ${columns} from breakers where subject in (${list(subjects)})`);
  return new Map(rows.map((row) => [row.subject, row]));
}

/** The same rule as `tips`, for the row as it is at commit: other servers count too. */
const tipsNow = (now: number): Sql => sql`(breakers.failures + 1 >= ${failuresToOpen} or (breakers.window_at > ${now - windowMs}
  and breakers.window_ok + breakers.window_failed + 1 >= ${windowLeast}
  and (breakers.window_failed + 1) * 100 >= (breakers.window_ok + breakers.window_failed + 1) * ${windowPercent}))`;

/** Counted where the row is, so that nothing is lost; the failure that would open it is in conflict and is decided again. */
export const countFailure = (subject: string, reason: string, now: number): Statement =>
  statement(sql`
    insert into breakers (subject, state, failures, window_at, window_ok, window_failed, openings, reason, updated_at)
    values (${subject}, 'closed', 1, ${now}, 0, 1, 0, ${reason}, ${now})
    on conflict (subject) do update
       set failures = breakers.failures + 1, reason = excluded.reason, updated_at = excluded.updated_at,
           window_ok = case when breakers.window_at > ${now - windowMs} then breakers.window_ok else 0 end,
           window_failed = case when breakers.window_at > ${now - windowMs} then breakers.window_failed + 1 else 1 end,
           window_at = case when breakers.window_at > ${now - windowMs} then breakers.window_at else excluded.window_at end
     where breakers.state = 'closed' and not ${tipsNow(now)}`);

/** Never in conflict: when somebody opened it meanwhile, this end had begun before and does not count. */
export const countSuccess = (subject: string, now: number): Statement =>
  statement(
    sql`update breakers set failures = 0, window_ok = window_ok + 1, updated_at = ${now} where subject = ${subject} and state = 'closed'`,
    "any",
  );

export const forgetBreaker = (row: BreakerRow): Statement =>
  statement(sql`delete from breakers where subject = ${row.subject} and state = 'closed' and window_at = ${row.window_at}`, "any");

/** Exactly one failure opens it. */
export const openBreaker = (subject: string, reason: string, retryAt: number, now: number): Statement =>
  statement(sql`
    update breakers set state = 'open', failures = failures + 1, openings = 1, opened_at = ${now}, retry_at = ${retryAt},
           reason = ${reason}, updated_at = ${now}
     where subject = ${subject} and state = 'closed' and ${tipsNow(now)}`);

/** One trial at a time: of two servers that want to try, one is in conflict. */
export const beginTrial = (subject: string, attempt: string, until: number, now: number): Statement =>
  statement(sql`
    update breakers set state = 'half-open', trial_attempt = ${attempt}, trial_until = ${until}, updated_at = ${now}
     where subject = ${subject}
       and ((state = 'open' and retry_at <= ${now}) or (state = 'half-open' and trial_until <= ${now}))`);

export const closeBreaker = (subject: string, attempt: string): Statement =>
  statement(sql`delete from breakers where subject = ${subject} and state = 'half-open' and trial_attempt = ${attempt}`);

/** The trial failed, or said nothing (then it may be tried again at once). */
export const endTrial = (
  subject: string,
  attempt: string,
  { openings, retryAt, reason, now }: { openings: number; retryAt: number; reason: string | null; now: number },
): Statement =>
  statement(sql`
    update breakers set state = 'open', failures = failures + ${reason === null ? 0 : 1}, openings = ${openings}, retry_at = ${retryAt},
           trial_attempt = null, trial_until = null, reason = coalesce(${reason}, reason), updated_at = ${now}
     where subject = ${subject} and state = 'half-open' and trial_attempt = ${attempt}`);

/** As a person wants it, whatever it is. */
export const removeBreaker = (row: BreakerRow): Statement =>
  statement(sql`delete from breakers where subject = ${row.subject} and state = ${row.state}`);
