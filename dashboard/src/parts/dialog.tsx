import { Dialog as Base } from "@base-ui/react/dialog";
import type { ReactNode } from "react";

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: ReactNode;
  children: ReactNode;
  /** The buttons, the safe one first. */
  actions?: ReactNode;
}

/** A question or a short form over the page. It keeps the focus, and gives it back. */
export function Dialog({ open, onClose, title, children, actions }: DialogProps) {
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Base.Portal>
        <Base.Backdrop className="scrim" />
        <Base.Viewport className="dialog-view">
          <Base.Popup className="dialog">
            <div className="dialog__body">
              <Base.Title render={<h2 />}>{title}</Base.Title>
              {children}
            </div>
            {actions !== undefined && <div className="dialog__foot">{actions}</div>}
          </Base.Popup>
        </Base.Viewport>
      </Base.Portal>
    </Base.Root>
  );
}
