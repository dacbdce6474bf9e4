import type { Reader } from "../db/plan.ts";
import type { Bus } from "../events/bus.ts";
import type { Agent } from "./agent.ts";
import { listProfiles } from "./store.ts";

/** Another server's change is known at the latest after so long. */
const believedMs = 2_000;

/**
 * The agents as they were known a moment ago, for whoever asks many times a second: read again when one was changed, and every two
 * seconds, because news of other servers are only hints. `stop` ends the listening.
 */
export function rememberAgents(read: Reader, bus: Bus): { agents(): Promise<Agent[]>; stop(): void } {
  let known: Promise<Agent[]> | null = null;
  let readAt = 0;
  const stop = bus.onWake(({ streams, events }) => {
    if (!streams.includes("instance")) return;
    if (events.length === 0 || events.some(({ type }) => type.startsWith("agent."))) known = null;
  });
  return {
    agents() {
      if (known && performance.now() - readAt < believedMs) return known;
      readAt = performance.now();
      const reading = listProfiles(read);
      known = reading;
      // A reading that failed is not remembered.
      reading.catch(() => known === reading && (known = null));
      return reading;
    },
    stop,
  };
}
