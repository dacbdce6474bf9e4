import { endProcesses } from "./proc.ts";

/**
 * Ends what is left of these sessions ("all": of this instance), whoever started it: after a crash the next server finds it by the
 * marks in its environment. Never touches a process of another instance. Bounded: 5 seconds. Returns the pids that it ended.
 */
export const sweepProcesses = (instance: string, sessions: readonly string[] | "all"): Promise<number[]> =>
  endProcesses({ TUTTI_INSTANCE: [instance], ...(sessions === "all" ? {} : { TUTTI_SESSION: sessions }) });
