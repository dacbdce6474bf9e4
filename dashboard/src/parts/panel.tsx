import type { ReactNode } from "react";

interface PanelProps {
  title?: ReactNode;
  /** Beside the title, on the right. */
  actions?: ReactNode;
  /** Its content reaches the border (a list, a table). */
  flush?: boolean;
  children: ReactNode;
}

/** A bordered part of a page. One per group; inside of it hairlines do the rest. */
export function Panel({ title, actions, flush = false, children }: PanelProps) {
  return (
    <section className="panel">
      {title !== undefined && (
        <header className="panel__head">
          <h2>{title}</h2>
          {actions !== undefined && <span className="push flex">{actions}</span>}
        </header>
      )}
      <div className={flush ? undefined : "panel__body"}>{children}</div>
    </section>
  );
}

/** A titled part of a pane, without a border of its own. */
export function Section({
  title,
  facts,
  actions,
  children,
}: {
  title: ReactNode;
  facts?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className="sec">
      <header className="sec__head">
        <h2>{title}</h2>
        {facts !== undefined && <span className="t3">{facts}</span>}
        {actions !== undefined && <span className="push flex">{actions}</span>}
      </header>
      {children}
    </section>
  );
}
