import { SunMoon } from "lucide-react";
import { Button } from "../parts/button.tsx";
import { Menu } from "../parts/menu.tsx";
import { type Preferences, setPreference, usePreferences } from "./preferences.ts";

/** Light or dark, how close together, which colours a diff has. */
export function Appearance() {
  const preferences = usePreferences();
  const item = <Name extends keyof Preferences>(name: Name, value: Preferences[Name], label: string) => ({
    label: `${preferences[name] === value ? "✓ " : ""}${label}`,
    onSelect: () => setPreference(name, value),
  });
  return (
    <Menu
      trigger={
        <Button kind="quiet" icon={SunMoon}>
          {preferences.theme}
        </Button>
      }
      items={[
        item("theme", "system", "Theme: as the system"),
        item("theme", "light", "Theme: light"),
        item("theme", "dark", "Theme: dark"),
        "line",
        item("density", "compact", "Rows: compact"),
        item("density", "default", "Rows: default"),
        item("density", "comfortable", "Rows: comfortable"),
        "line",
        item("diff", "standard", "Diff: green and red"),
        item("diff", "blue-orange", "Diff: blue and orange"),
      ]}
    />
  );
}
