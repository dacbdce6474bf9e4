import { Outlet, useNavigate, useRouter, useRouterState } from "@tanstack/react-router";
import { type AnchorHTMLAttributes, useState } from "react";
import { useConnection } from "../live/live.ts";
import { BottomTabs } from "../parts/bottom-tabs.tsx";
import { Connection } from "../parts/connection.tsx";
import { LinkProvider, type LinkProps } from "../parts/link.tsx";
import { Rail, type RailItem } from "../parts/rail.tsx";
import { StatusBar } from "../parts/status-bar.tsx";
import { Toasts } from "../parts/toasts.tsx";
import { AllKeys } from "./all-keys.tsx";
import { Appearance } from "./appearance.tsx";
import { useAttention, useAttentionOutside } from "./attention.ts";
import { Banners } from "./banners.tsx";
import { useKeys, useShownKeys } from "./keys.ts";
import { Locked } from "./locked.tsx";
import { Palette } from "./palette.tsx";
import { beyondThumb, groups, onPhone, type Place, placeOf, places } from "./places.ts";
import { setPreference, usePreferences } from "./preferences.ts";
import { shownConnection } from "./shown-connection.ts";

/** Around every page: the way to the others, how fresh everything is, the keys of what is shown. */
export function Layout() {
  const connection = useConnection();
  if (connection.state === "refused") return <Locked problem={null} />;
  return (
    <LinkProvider link={RouterAnchor}>
      <Toasts>
        <Frame />
      </Toasts>
    </LinkProvider>
  );
}

function Frame() {
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const navigate = useNavigate();
  const connection = useConnection();
  const { rail } = usePreferences();
  const needs = useAttention();
  const [open, setOpen] = useState<"palette" | "keys" | null>(null);
  const place = placeOf(path);
  useAttentionOutside(needs, place.label);
  useKeys([
    { keys: "mod+k", label: "go to", typing: true, quiet: true, run: () => setOpen("palette") },
    { keys: "?", label: "all keys", run: () => setOpen("keys") },
    { keys: "\\", label: "fold the rail", quiet: true, run: () => setPreference("rail", rail === "wide" ? "narrow" : "wide") },
    ...places.map(({ keys, label, href }) => ({ keys, label, quiet: true, run: () => void navigate({ to: href }) })),
  ]);
  const hints = useShownKeys().filter(({ quiet }) => quiet !== true);
  const itemOf = ({ href, label, icon, keys }: Place): RailItem => ({
    href,
    label,
    icon,
    keys,
    current: href === place.href || (href === "/more" && beyondThumb.some((one) => one.href === place.href)),
    ...(href === "/inbox" && needs > 0 ? { needs } : {}),
  });
  return (
    <div className="app" data-connection={connection.state}>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <Rail
        home="/inbox"
        min={rail === "narrow"}
        groups={groups.map((group) => ({ title: group.title, items: group.places.map(itemOf) }))}
      />
      <main id="main" className={connection.state === "stale" ? "main main--stale" : "main"} tabIndex={-1}>
        <Banners />
        <Outlet />
      </main>
      <BottomTabs items={onPhone.map(itemOf)} />
      <StatusBar hints={hints.map(({ keys, label }) => ({ keys: keys.split(" "), label }))}>
        <Connection state={shownConnection(connection)} />
        <span className="t3">v{__VERSION__}</span>
        <Appearance />
      </StatusBar>
      <Palette open={open === "palette"} onClose={() => setOpen(null)} />
      <AllKeys open={open === "keys"} onClose={() => setOpen(null)} />
    </div>
  );
}

/** The parts write plain addresses; inside of the dashboard a click is the router's. */
function RouterAnchor({ href, onClick, ...rest }: LinkProps & AnchorHTMLAttributes<HTMLAnchorElement>) {
  const router = useRouter();
  return (
    <a
      {...rest}
      href={href}
      onClick={(event) => {
        onClick?.(event);
        const elsewhere =
          event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0 || rest.target === "_blank";
        if (event.defaultPrevented || elsewhere) return;
        event.preventDefault();
        router.history.push(href);
      }}
    />
  );
}
