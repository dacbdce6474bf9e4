import type { ReactNode } from "react";
import { Mark, Wordmark } from "./brand.tsx";
import { Icon, type IconShape } from "./icon.tsx";
import { Link } from "./link.tsx";
import { NeedsPill } from "./needs-pill.tsx";

export interface RailItem {
  href: string;
  label: string;
  icon: IconShape;
  /** The keys that lead there: "g i". */
  keys?: string;
  current?: boolean;
  /** How many things there need the person. */
  needs?: number;
  count?: number;
}

interface RailProps {
  groups: readonly { title: string; items: readonly RailItem[] }[];
  /** Icons only. */
  min?: boolean;
  home: string;
  /** The person, at the bottom. */
  foot?: ReactNode;
}

/** The way to every screen, on desktops. */
export function Rail({ groups, min = false, home, foot }: RailProps) {
  return (
    <nav className={min ? "rail rail--min" : "rail"} aria-label="Main">
      <Link className="rail__brand" href={home} aria-label="Tutti, home">
        {min ? <Mark /> : <Wordmark />}
      </Link>
      <div className="rail__nav">
        {groups.map((group) => (
          <section key={group.title} aria-label={group.title}>
            <div className="rail__group" aria-hidden>
              <span className="rail__label">{group.title}</span>
            </div>
            {group.items.map((item) => (
              <Link
                key={item.href}
                className="rail__item"
                href={item.href}
                aria-current={item.current === true ? "page" : undefined}
                title={item.keys === undefined ? item.label : `${item.label} (${item.keys})`}
              >
                <Icon of={item.icon} />
                <span className="rail__label">{item.label}</span>
                {item.needs !== undefined && <NeedsPill count={item.needs} />}
                {item.count !== undefined && <span className="num">{item.count.toLocaleString("en")}</span>}
              </Link>
            ))}
          </section>
        ))}
      </div>
      {foot !== undefined && <div className="rail__foot">{foot}</div>}
    </nav>
  );
}
