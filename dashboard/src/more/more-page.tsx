import { useConnection } from "../live/live.ts";
import { Connection } from "../parts/connection.tsx";
import { Header } from "../parts/header.tsx";
import { Icon } from "../parts/icon.tsx";
import { Link } from "../parts/link.tsx";
import { Appearance } from "../shell/appearance.tsx";
import { beyondThumb } from "../shell/places.ts";
import { shownConnection } from "../shell/shown-connection.ts";
import "./more.css";

/** On a phone: the screens that have no tab, and what the status bar says elsewhere. */
export function MorePage() {
  const connection = useConnection();
  return (
    <div className="page">
      <Header title="More" beside={<Connection state={shownConnection(connection)} />} />
      <nav className="more" aria-label="Further screens">
        {beyondThumb.map(({ href, label, icon }) => (
          <Link key={href} href={href} className="more__place">
            <Icon of={icon} /> {label}
          </Link>
        ))}
      </nav>
      <div className="more__rest">
        <Appearance />
        <span className="t3">v{__VERSION__}</span>
      </div>
    </div>
  );
}
