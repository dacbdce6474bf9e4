import { Info } from "lucide-react";
import type { ReactNode } from "react";
import { Glyph } from "./glyph.tsx";
import { Icon, type IconShape } from "./icon.tsx";

interface NoticeProps {
  kind?: "info" | "warn" | "fail";
  title?: ReactNode;
  children?: ReactNode;
  /** The one next step. */
  action?: ReactNode;
  icon?: IconShape;
  /** Across the page, below its head: the fault line of a run, "stale since", the banner of a demo. */
  wide?: boolean;
}

/** Something to know about what stands below. It stays; what is only worth a moment is a toast. */
export function Notice({ kind = "info", title, children, action, icon, wide = false }: NoticeProps) {
  return (
    <div className={`note note--${kind}${wide ? " note--wide" : ""}`} role={kind === "info" ? undefined : "group"}>
      {icon !== undefined ? (
        <Icon of={icon} />
      ) : kind === "info" ? (
        <Icon of={Info} />
      ) : (
        <Glyph state={kind === "warn" ? "needs you" : "failed"} />
      )}
      <div className="note__text">
        {title !== undefined && <b>{title}</b>} {children}
      </div>
      {action !== undefined && <div className="note__act">{action}</div>}
    </div>
  );
}
