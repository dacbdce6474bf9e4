import { Menu as Base } from "@base-ui/react/menu";
import type { ReactElement, ReactNode } from "react";
import { Icon, type IconShape } from "./icon.tsx";

export interface MenuItem {
  label: ReactNode;
  icon?: IconShape;
  /** The key that does the same. */
  keys?: string;
  danger?: boolean;
  /** Why it cannot be chosen; it stays in the menu and says so. */
  disabledReason?: ReactNode;
  onSelect: () => void;
}

/** A list of actions behind `trigger` (one button). "line" divides. */
export function Menu({ trigger, items }: { trigger: ReactElement; items: readonly (MenuItem | "line")[] }) {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner className="floating" sideOffset={4} align="end">
          <Base.Popup className="menu">
            {items.map((item, index) =>
              item === "line" ? (
                <Base.Separator key={`line-${index}`} className="menu__line" />
              ) : (
                <Base.Item
                  key={index}
                  className={item.danger === true ? "menu__item c-fail" : "menu__item"}
                  disabled={item.disabledReason !== undefined}
                  onClick={item.onSelect}
                >
                  {item.icon !== undefined && <Icon of={item.icon} />}
                  <span>
                    {item.label}
                    {item.disabledReason !== undefined && <>: {item.disabledReason}</>}
                  </span>
                  {item.keys !== undefined && <span className="num">{item.keys}</span>}
                </Base.Item>
              ),
            )}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}
