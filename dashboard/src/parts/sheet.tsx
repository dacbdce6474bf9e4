import { Drawer } from "@base-ui/react/drawer";
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { IconButton } from "./icon-button.tsx";
import { usePhone } from "./phone.ts";

interface SheetProps {
  open: boolean;
  onClose: () => void;
  title: ReactNode;
  /** Beside the title: previous, next. */
  tools?: ReactNode;
  children: ReactNode;
  /** Stays in reach of the thumb. */
  actions?: ReactNode;
}

/** A peek over the page: from below on phones (it can be swiped away), from the right elsewhere. */
export function Sheet({ open, onClose, title, tools, children, actions }: SheetProps) {
  const phone = usePhone();
  return (
    <Drawer.Root open={open} onOpenChange={(next) => !next && onClose()} swipeDirection={phone ? "down" : "right"}>
      <Drawer.Portal>
        <Drawer.Backdrop className="scrim" />
        <Drawer.Viewport className="sheet-view">
          <Drawer.Popup className="sheet">
            <div className="pane__head pane__head--tall">
              <Drawer.Title className="sheet__title" render={<h2 />}>
                {title}
              </Drawer.Title>
              <span className="push flex">
                {tools}
                <IconButton icon={X} label="Close" onClick={onClose} />
              </span>
            </div>
            <Drawer.Content className="sheet__body">{children}</Drawer.Content>
            {actions !== undefined && <div className="sheet__foot">{actions}</div>}
          </Drawer.Popup>
        </Drawer.Viewport>
      </Drawer.Portal>
    </Drawer.Root>
  );
}
