import type { Agent, Detection } from "./agent.ts";

/** What an agent's state is: whether it can be used, and whether it works. */
export function stateOf(detection: Pick<Detection, "state">, active: number): Pick<Agent, "state" | "reason"> {
  switch (detection.state) {
    case "ready":
      return active > 0 ? { state: "running", reason: null } : { state: "queued", reason: "idle" };
    case "signed out":
      return { state: "needs you", reason: "signed out" };
    case "not found":
      return { state: "failed", reason: "not found" };
    case "unsupported version":
      return { state: "failed", reason: "unsupported version" };
  }
}
