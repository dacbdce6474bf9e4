import { CSPProvider } from "@base-ui/react/csp-provider";
import { Activity, Bot, CircleDollarSign, Inbox, LayoutGrid, MessageSquare, Settings, Workflow } from "lucide-react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "./look/index.css";
import "./look/gallery.css";
import { BottomTabs } from "./parts/bottom-tabs.tsx";
import { Button } from "./parts/button.tsx";
import { Connection } from "./parts/connection.tsx";
import { Controls, Fields } from "./parts/gallery/controls.tsx";
import { Floating } from "./parts/gallery/floating.tsx";
import { Lists } from "./parts/gallery/lists.tsx";
import { Figures, Marks } from "./parts/gallery/marks.tsx";
import { Tables } from "./parts/gallery/tables.tsx";
import { Diffs, Texts, Words } from "./parts/gallery/words.tsx";
import { Header } from "./parts/header.tsx";
import { Monogram } from "./parts/monogram.tsx";
import { Rail, type RailItem } from "./parts/rail.tsx";
import { StatusBar } from "./parts/status-bar.tsx";
import { Toasts } from "./parts/toasts.tsx";
import { applyPreferences, setPreference, usePreferences } from "./shell/preferences.ts";

/** Every part in every state: what the look and the accessibility are checked on. It is not part of the built dashboard. */
function Gallery() {
  const { theme } = usePreferences();
  return (
    <div className="app">
      <Rail home="#" groups={railGroups} min foot={<Monogram name="Mara Lind" kind="person" large />} />
      <main className="main">
        <Header
          crumbs={[{ label: "Tutti", href: "#tutti" }]}
          title="Parts"
          beside={<span className="t3 no-phone">every part, in every state</span>}
          actions={<Button onClick={() => setPreference("theme", theme === "dark" ? "light" : "dark")}>{theme}</Button>}
        />
        <div className="gallery">
          <Marks />
          <Figures />
          <Controls />
          <Fields />
          <Lists />
          <Tables />
          <Floating />
          <Words />
          <Texts />
          <Diffs />
        </div>
      </main>
      <BottomTabs items={(railGroups[0]?.items ?? []).slice(0, 5)} />
      <StatusBar
        hints={[
          { keys: ["j", "k"], label: "move" },
          { keys: "?", label: "all keys" },
        ]}
      >
        <Connection state={{ kind: "live" }} />
        <span className="t3">v0.2.0</span>
      </StatusBar>
    </div>
  );
}

const railGroups: { title: string; items: RailItem[] }[] = [
  {
    title: "Now",
    items: [
      { href: "#inbox", label: "Inbox", icon: Inbox, needs: 12, keys: "g i", current: true },
      { href: "#fleet", label: "Fleet", icon: LayoutGrid },
      { href: "#chat", label: "Chat", icon: MessageSquare },
    ],
  },
  {
    title: "Work",
    items: [
      { href: "#runs", label: "Runs", icon: Activity, count: 38 },
      { href: "#flows", label: "Flows", icon: Workflow },
    ],
  },
  {
    title: "Run it",
    items: [
      { href: "#agents", label: "Agents", icon: Bot },
      { href: "#budgets", label: "Budgets", icon: CircleDollarSign },
      { href: "#settings", label: "Settings", icon: Settings },
    ],
  },
];

applyPreferences();
createRoot(document.getElementById("root") ?? document.body).render(
  <StrictMode>
    <CSPProvider disableStyleElements>
      <Toasts>
        <Gallery />
      </Toasts>
    </CSPProvider>
  </StrictMode>,
);
