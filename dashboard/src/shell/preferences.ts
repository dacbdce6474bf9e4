import { useSyncExternalStore } from "react";

/** What this browser remembers about how things look and work: no part of the server's state. */
export interface Preferences {
  theme: "system" | "light" | "dark";
  density: "compact" | "default" | "comfortable";
  diff: "standard" | "blue-orange";
  /** Whether single letters do things; some people speak to their computer, or press keys by accident. */
  keys: boolean;
  rail: "wide" | "narrow";
}

const place = "tutti.preferences";
const defaults: Preferences = { theme: "system", density: "default", diff: "standard", keys: true, rail: "wide" };

let preferences = read();
const listeners = new Set<() => void>();

function read(): Preferences {
  try {
    return { ...defaults, ...(JSON.parse(localStorage.getItem(place) ?? "{}") as Partial<Preferences>) };
  } catch {
    // Somebody else's text is there: begin anew.
    return defaults;
  }
}

/** Puts them where the style sheets look. */
export function applyPreferences(): void {
  const dark = preferences.theme === "dark" || (preferences.theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  const { dataset } = document.documentElement;
  dataset["theme"] = dark ? "dark" : "light";
  if (preferences.density === "default") delete dataset["density"];
  else dataset["density"] = preferences.density;
  if (preferences.diff === "blue-orange") dataset["diff"] = "bo";
  else delete dataset["diff"];
}

export function setPreference<Name extends keyof Preferences>(name: Name, value: Preferences[Name]): void {
  preferences = { ...preferences, [name]: value };
  localStorage.setItem(place, JSON.stringify(preferences));
  applyPreferences();
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export const usePreferences = (): Preferences => useSyncExternalStore(subscribe, () => preferences);

export const preferencesNow = (): Preferences => preferences;

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyPreferences);
// Another tab of this browser.
addEventListener("storage", ({ key }) => {
  if (key !== place) return;
  preferences = read();
  applyPreferences();
  for (const listener of listeners) listener();
});
