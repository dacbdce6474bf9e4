import { Glyph } from "./glyph.tsx";

/** How fresh what is seen is. `since`: ms since 1970. */
export type ConnectionState =
  | { kind: "live" }
  | { kind: "reconnecting"; seconds?: number }
  | { kind: "stale"; since: number }
  | { kind: "offline"; text: string };

/** The connection, always in sight, as mark and words. */
export function Connection({ state }: { state: ConnectionState }) {
  if (state.kind === "live") {
    return (
      <span className="conn">
        <span className="live" />
        Live
      </span>
    );
  }
  if (state.kind === "reconnecting") {
    return (
      <span className="conn conn--re">
        <Glyph state="starting" />
        Reconnecting{state.seconds !== undefined && `, ${state.seconds} s`}
      </span>
    );
  }
  if (state.kind === "offline") {
    return (
      <span className="conn">
        <span className="live live--off" />
        {state.text}
      </span>
    );
  }
  const at = new Date(state.since);
  return (
    <span className="conn conn--stale">
      <Glyph state="needs you" />
      Stale since <time dateTime={at.toISOString()}>{at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}</time>
    </span>
  );
}
