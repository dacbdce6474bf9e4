import { CircleDashed, ListFilter } from "lucide-react";
import type { ReactNode } from "react";
import { CopyButton } from "./copy-button.tsx";
import { Glyph } from "./glyph.tsx";
import { Icon, type IconShape } from "./icon.tsx";

interface EmptyProps {
  /** first: nothing was ever here. filtered: a filter hides all. clear: everything is done. */
  kind: "first" | "filtered" | "clear";
  title: ReactNode;
  /** What this is, which filter hides how much, or what happens next. */
  text?: ReactNode;
  action?: ReactNode;
  /** The same from a terminal, in one line. */
  cli?: string;
  icon?: IconShape;
  children?: ReactNode;
}

/** Nothing to show, and why, and what to do about it. */
export function Empty({ kind, title, text, action, cli, icon, children }: EmptyProps) {
  return (
    <div className="empty">
      <span className={kind === "clear" ? "c-ok" : "t3"}>
        {kind === "clear" ? <Glyph state="done" /> : <Icon of={icon ?? (kind === "filtered" ? ListFilter : CircleDashed)} />}
      </span>
      <h2>{title}</h2>
      {text !== undefined && <p>{text}</p>}
      {action !== undefined && <div className="flex flex--wrap">{action}</div>}
      {cli !== undefined && (
        <span className="cmd1">
          <code>{cli}</code>
          <CopyButton text={cli} label="Copy the command" />
        </span>
      )}
      {children}
    </div>
  );
}
