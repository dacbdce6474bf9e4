import type { SchemaStatement } from "../migrate.ts";

/** Circuit breakers. */
export const version = 7;

export const statements: readonly SchemaStatement[] = [
  // Only what has trouble has a row: work that goes well reads nothing here and writes nothing. `window_*` count both ends since
  // window_at; `openings` counts how often it opened without closing in between.
  `create table breakers (
    subject text primary key, state text not null, failures integer not null,
    window_at bigint not null, window_ok integer not null, window_failed integer not null,
    openings integer not null, opened_at bigint, retry_at bigint, trial_attempt text, trial_until bigint,
    reason text, updated_at bigint not null)`,
];
