import { Icon } from "./icon.tsx";
import { Link } from "./link.tsx";
import { NeedsPill } from "./needs-pill.tsx";
import type { RailItem } from "./rail.tsx";

/** The way to the main screens, on phones: at most five. */
export function BottomTabs({ items }: { items: readonly RailItem[] }) {
  return (
    <nav className="tabbar" aria-label="Main">
      {items.map((item) => (
        <Link key={item.href} href={item.href} aria-current={item.current === true ? "page" : undefined}>
          <Icon of={item.icon} />
          <span>{item.label}</span>
          {item.needs !== undefined && <NeedsPill count={item.needs} />}
        </Link>
      ))}
    </nav>
  );
}
