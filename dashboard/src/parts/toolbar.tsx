import type { ReactNode } from "react";

/** Filters and switches above a list, and on the right what is done with all of it. Wraps where there is no room. */
export function Toolbar({ label, children, end }: { label: string; children: ReactNode; end?: ReactNode }) {
  return (
    <div className="bar" role="group" aria-label={label}>
      {children}
      {end !== undefined && <span className="push flex">{end}</span>}
    </div>
  );
}
