import { Eye } from "lucide-react";
import { setPreference, usePreferences } from "../shell/preferences.ts";
import { Icon } from "./icon.tsx";

/** Green and red, or blue and orange, for all diffs: people who cannot tell the first two apart need it in sight. */
export function DiffPalette() {
  const { diff } = usePreferences();
  return (
    <button
      type="button"
      role="switch"
      aria-checked={diff === "blue-orange"}
      className="btn btn--quiet"
      onClick={() => setPreference("diff", diff === "standard" ? "blue-orange" : "standard")}
    >
      <Icon of={Eye} />
      blue/orange
    </button>
  );
}
