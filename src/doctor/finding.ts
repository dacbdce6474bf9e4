/** Where a fault can be, in the order in which it is told: what stands first can be the cause of what stands below. */
export const areas = [
  "runtime",
  "server",
  "database",
  "disk",
  "clones",
  "processes",
  "agents",
  "keys",
  "network",
  "ports",
  "notifications",
] as const;
export type Area = (typeof areas)[number];

/** What `tutti doctor --fix` may do by itself: nothing is lost by any of it. */
export type Mend =
  | { kind: "remove server file" }
  /** Takes every right of group and others away. */
  | { kind: "close"; path: string }
  | { kind: "refresh agents" };

export interface Finding {
  area: Area;
  state: "ok" | "warning" | "problem";
  message: string;
  /** The one command, or the one thing to do. */
  fix: string | null;
  mend: Mend | null;
}
