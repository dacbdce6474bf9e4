import type { ReactNode } from "react";
import { Glyph } from "./glyph.tsx";
import { type AnyState, stateClass } from "./state-look.ts";

interface StatusProps {
  state: AnyState;
  /** Why, in words: "approval", "no capacity". */
  reason?: ReactNode;
  /** Whether a check passed; null: there was none. Only said of what is done. */
  verified?: boolean | null;
  /** "tag" draws a border, and fills "needs you", which is the only state that fills. */
  look?: "plain" | "tag";
}

/** A state as glyph, word and colour, in this order of importance, and why. */
export function Status({ state, reason, verified, look = "plain" }: StatusProps) {
  const why =
    state === "done" && (reason === undefined || reason === null) && typeof verified === "boolean"
      ? verified
        ? "verified"
        : "not verified"
      : reason;
  const frame = look === "plain" ? "" : state === "needs you" ? " st--pill" : " st--box";
  return (
    <span className={`st st--${stateClass(state)}${frame}`}>
      <Glyph state={state} />
      <span>{state}</span>
      {why !== undefined && why !== null && <span className="st__why">{why}</span>}
    </span>
  );
}
