import { Tabs as Base } from "@base-ui/react/tabs";
import type { ReactNode } from "react";

export interface Tab<V extends string> {
  value: V;
  title: ReactNode;
  /** A number beside the title, or a short text such as "6/8". */
  count?: number | string;
  content: ReactNode;
}

interface TabsProps<V extends string> {
  label: string;
  value: V;
  onChange: (value: V) => void;
  tabs: readonly Tab<V>[];
}

/** Parts of one thing, of which one is seen. Which one is the page's to know (it stands in the address). */
export function Tabs<V extends string>({ label, value, onChange, tabs }: TabsProps<V>) {
  return (
    <Base.Root className="tabbed" value={value} onValueChange={(next: V) => onChange(next)}>
      <Base.List className="tabs" aria-label={label}>
        {tabs.map((tab) => (
          <Base.Tab key={tab.value} value={tab.value} className="tabs__tab">
            {tab.title}
            {tab.count !== undefined && (
              <span className="num t3">{typeof tab.count === "number" ? tab.count.toLocaleString("en") : tab.count}</span>
            )}
          </Base.Tab>
        ))}
      </Base.List>
      {tabs.map((tab) => (
        <Base.Panel key={tab.value} value={tab.value} className="tabbed__panel">
          {tab.content}
        </Base.Panel>
      ))}
    </Base.Root>
  );
}
