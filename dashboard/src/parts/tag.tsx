import type { ReactNode } from "react";

/** A short fact about a row: "×3", "low", "high risk". `high` is for risk only. */
export function Tag({ high = false, children }: { high?: boolean; children: ReactNode }) {
  return <span className={high ? "tag tag--high" : "tag"}>{children}</span>;
}
