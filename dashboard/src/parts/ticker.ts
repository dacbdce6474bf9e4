import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    // A hidden tab has nobody to tell the time to; the first tick after it is shown again tells everything.
    if (!document.hidden) for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/**
 * A text that depends on the time, kept up to date by the one ticker that all of them share. `words` gets the present (ms since 1970);
 * the component is drawn again only when its text has changed.
 */
export const useTimeWords = (words: (now: number) => string): string =>
  useSyncExternalStore(
    subscribe,
    () => words(Date.now()),
    () => words(Date.now()),
  );
