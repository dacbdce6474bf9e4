import type { SchemaStatement } from "../migrate.ts";

/** Integrity of the store. */
export const version = 5;

export const statements: readonly SchemaStatement[] = [
  // The number of the writer's newest transaction that saved this row; the greatest of all is the store's. SQLite only: see high-water.ts.
  `alter table streams add column commits bigint not null default 0`,
];
