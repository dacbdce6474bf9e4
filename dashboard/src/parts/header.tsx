import { Fragment, type ReactNode } from "react";
import { Link } from "./link.tsx";

export interface Crumb {
  label: ReactNode;
  href: string;
}

/** The way to this page: each step is a link, the page itself is not among them. */
export function Crumbs({ crumbs }: { crumbs: readonly Crumb[] }) {
  return (
    <nav className="head__crumb" aria-label="Breadcrumbs">
      {crumbs.map((crumb) => (
        <Fragment key={crumb.href}>
          <Link href={crumb.href}>{crumb.label}</Link>
          <span className="sep" aria-hidden>
            {" / "}
          </span>
        </Fragment>
      ))}
    </nav>
  );
}

interface PageTitleProps {
  children: ReactNode;
  /** An id before the title: "T-1487". */
  id?: string;
}

/** The one h1 of a page. */
export function PageTitle({ children, id }: PageTitleProps) {
  return (
    <>
      {id !== undefined && <span className="mono t3 nowrap">{id}</span>}
      <h1 className="clip">{children}</h1>
    </>
  );
}

interface HeaderProps {
  crumbs?: readonly Crumb[];
  title: ReactNode;
  id?: string;
  /** Beside the title: the state, a count, segments. */
  beside?: ReactNode;
  /** A second line of facts: agent, branch, cost. */
  facts?: ReactNode;
  /** Buttons on the right. */
  actions?: ReactNode;
}

/** The head of a page, in one line, or in two when there are facts. */
export function Header({ crumbs, title, id, beside, facts, actions }: HeaderProps) {
  return (
    <header className={facts === undefined ? "head" : "head head--two"}>
      <div className="head__line">
        {crumbs !== undefined && <Crumbs crumbs={crumbs} />}
        <PageTitle id={id}>{title}</PageTitle>
        {beside}
        {actions !== undefined && <span className="head__act push flex">{actions}</span>}
      </div>
      {facts !== undefined && <div className="head__facts">{facts}</div>}
    </header>
  );
}
