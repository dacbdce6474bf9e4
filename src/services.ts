import type { ArtifactStore } from "./artifacts/artifact.ts";
import type { Detect } from "./agents/detect.ts";
import type { Db } from "./db/plan.ts";
import type { Bus } from "./events/bus.ts";
import type { EnvironmentProvider } from "./models/find.ts";
import type { Outbound } from "./notifications/outbound.ts";
import type { Processes } from "./processes/process.ts";
import type { Workspaces } from "./workspaces/workspace.ts";

/** A clock that tests can move. Leases are judged by the database's clock, never by this one. */
export interface Clock {
  now(): number;
}

/** What entries of the registry may use beside the store: main.ts makes them once. */
export interface Services {
  db: Db;
  clock: Clock;
  bus: Bus;
  artifacts: ArtifactStore;
  workspaces: Workspaces;
  processes: Processes;
  detect: Detect;
  /** Providers that variables name; left out: none. */
  environmentProviders?: readonly EnvironmentProvider[];
  /** What notifications may reach; left out: public addresses. */
  outbound?: Outbound;
  version: string;
  home: string;
  /** Where the store is when it is not in `home`: PostgreSQL. */
  databaseUrl?: string;
}
