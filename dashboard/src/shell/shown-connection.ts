import type { Connection } from "../live/live.ts";
import type { ConnectionState } from "../parts/connection.tsx";

/** The stream's state as it is shown. */
export function shownConnection(connection: Connection): ConnectionState {
  switch (connection.state) {
    case "live":
      return { kind: "live" };
    case "stale":
      return { kind: "stale", since: connection.since };
    case "connecting":
      return { kind: "reconnecting" };
    case "refused":
      return { kind: "offline", text: "signed out" };
  }
}
