import type { ReactNode } from "react";
import { type AnyState, stateClass } from "./state-look.ts";

const shapes: Record<AnyState, ReactNode> = {
  queued: <circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" strokeWidth="1.5" />,
  starting: (
    <>
      <circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" strokeWidth="1.5" />
      <path d="M7 7V2a5 5 0 0 1 5 5z" fill="currentColor" />
    </>
  ),
  running: (
    <>
      <circle cx="7" cy="7" r="5.25" fill="none" stroke="currentColor" strokeOpacity=".35" strokeWidth="1.5" />
      <path className="g-arc" d="M7 1.75a5.25 5.25 0 0 1 0 10.5" fill="none" stroke="currentColor" strokeWidth="1.9" />
    </>
  ),
  "needs you": <path className="g-dia" d="M7 1 13 7 7 13 1 7z" />,
  paused: <path d="M4.7 2.5v9M9.3 2.5v9" stroke="currentColor" strokeWidth="2.2" strokeLinecap="round" />,
  done: (
    <>
      <circle cx="7" cy="7" r="5.5" fill="none" stroke="currentColor" strokeWidth="1.4" />
      <path d="m4.4 7.2 1.8 1.8 3.4-3.8" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round" />
    </>
  ),
  failed: (
    <>
      <path d="M4.6 1h4.8L13 4.6v4.8L9.4 13H4.6L1 9.4V4.6z" fill="none" stroke="currentColor" strokeWidth="1.4" strokeLinejoin="round" />
      <path d="m4.9 4.9 4.2 4.2m0-4.2-4.2 4.2" stroke="currentColor" strokeWidth="1.7" strokeLinecap="round" />
    </>
  ),
  cancelled: (
    <>
      <circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" strokeWidth="1.5" />
      <path d="m3.5 10.5 7-7" stroke="currentColor" strokeWidth="1.5" />
    </>
  ),
  skipped: (
    <>
      <circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" strokeWidth="1.4" strokeDasharray="2 2.2" />
      <path d="M4.8 7h4.4" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" />
    </>
  ),
};

/** The shape of a state. With `label` it stands alone (and is read aloud); without, a word must stand beside it. */
export function Glyph({ state, label }: { state: AnyState; label?: boolean }) {
  const name = label === true ? { role: "img", "aria-label": state } : { "aria-hidden": true };
  return (
    <svg className={`g g--${stateClass(state)}`} viewBox="0 0 14 14" {...name}>
      {shapes[state]}
    </svg>
  );
}
