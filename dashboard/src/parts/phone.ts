import { useSyncExternalStore } from "react";

/** The width up to which the phone's layout holds; the same number stands in the style sheets' media queries. */
const query = "(max-width: 640px)";

const subscribe = (listener: () => void): (() => void) => {
  const media = matchMedia(query);
  media.addEventListener("change", listener);
  return () => media.removeEventListener("change", listener);
};

/** Whether the window is as narrow as a phone. Prefer the style sheet; use this where the elements themselves differ. */
export const usePhone = (): boolean => useSyncExternalStore(subscribe, () => matchMedia(query).matches);
