import { Dialog } from "../parts/dialog.tsx";
import { Keycap } from "../parts/keycap.tsx";
import { Switch } from "../parts/switch.tsx";
import { useShownKeys } from "./keys.ts";
import { setPreference, usePreferences } from "./preferences.ts";

/** Every key that does something on this page now. */
export function AllKeys({ open, onClose }: { open: boolean; onClose: () => void }) {
  const shown = useShownKeys();
  const { keys } = usePreferences();
  return (
    <Dialog open={open} onClose={onClose} title="Keys on this page">
      <ul className="keys-list">
        {shown.map((binding) => (
          <li key={binding.keys}>
            <Keycap keys={binding.keys.split(" ")} /> {binding.label}
          </li>
        ))}
      </ul>
      <Switch checked={keys} onChange={(on) => setPreference("keys", on)}>
        Single letters do things
      </Switch>
    </Dialog>
  );
}
