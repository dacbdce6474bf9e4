import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { ask } from "../api/client.ts";

/** The one number: how much waits for a person. The same in the rail, the tabs, the title and the icon. */
export function useAttention(): number {
  const { data } = useQuery(ask("inbox.list", { limit: 1 }));
  return data?.counts.total ?? 0;
}

/** Puts the number where it is seen when this tab is not: title and icon (and the badge of an installed app). */
export function useAttentionOutside(count: number, page: string): void {
  useEffect(() => {
    document.title = `${count > 0 ? `(${count}) ` : ""}${page} · Tutti`;
  }, [count, page]);
  useEffect(() => {
    document.getElementById("favicon")?.setAttribute("href", count > 0 ? "/favicon-needs.svg" : "/favicon.svg");
    const badge = count > 0 ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.();
    // Where the app is not installed there is nothing to put a badge on.
    badge?.catch(() => undefined);
  }, [count]);
}
