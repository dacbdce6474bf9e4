import type { ReactNode } from "react";

export interface LedgerRow {
  name: ReactNode;
  value: ReactNode;
  /** A remark to the value's right. */
  note?: ReactNode;
}

/** Names left, values right, hairlines between: the facts about one thing. */
export function Ledger({ rows }: { rows: readonly LedgerRow[] }) {
  return (
    <dl className="ledger">
      {rows.map((row, index) => (
        <div key={index}>
          <dt>{row.name}</dt>
          <dd className={row.note === undefined ? "ledger__wide" : undefined}>{row.value}</dd>
          {row.note !== undefined && <dd className="t2">{row.note}</dd>}
        </div>
      ))}
    </dl>
  );
}
