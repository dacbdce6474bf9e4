import type { CDPSession, Page } from "playwright-core";

/** What a page says about itself, by the browser's own measurements. */
export interface Seen {
  /** Largest contentful paint, ms after the navigation began. */
  lcp: number;
  /** Sum of all layout shifts that no input explains. */
  cls: number;
  /** What every task over 50 ms took beyond that, ms. */
  blocked: number;
  /** The longest task, ms. */
  longest: number;
  /** Each key press and click that took 16 ms or longer: from the event to the next paint, ms. */
  interactions: number[];
  /** All of them, also the quick ones. (These and the tasks: since they were last forgotten.) */
  interactionCount: number;
}

/**
 * In the page, before everything else: keeps what the observers tell. `tuttiTimed(isShown)` answers the milliseconds from the next
 * trusted key or press until `isShown()` holds and is painted.
 */
export const observers = `(() => {
  const seen = { lcp: 0, cls: 0, blocked: 0, longest: 0, ids: new Map(), before: 0 };
  const watch = (type, take, more = {}) => new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true, ...more });
  watch("largest-contentful-paint", (entry) => { seen.lcp = entry.startTime; });
  watch("layout-shift", (entry) => { if (!entry.hadRecentInput) seen.cls += entry.value; });
  watch("longtask", (entry) => { seen.blocked += entry.duration - 50; seen.longest = Math.max(seen.longest, entry.duration); });
  watch("event", (entry) => { if (entry.interactionId) seen.ids.set(entry.interactionId, Math.max(entry.duration, seen.ids.get(entry.interactionId) ?? 0)); }, { durationThreshold: 16 });
  globalThis.tuttiSeen = () => ({ ...seen, ids: undefined, interactions: [...seen.ids.values()], interactionCount: performance.interactionCount - seen.before });
  globalThis.tuttiForget = () => { seen.blocked = 0; seen.longest = 0; seen.cls = 0; seen.ids.clear(); seen.before = performance.interactionCount; };
  globalThis.tuttiTimed = (isShown) => new Promise((resolve, reject) => {
    let at = 0;
    const begin = (event) => { if (at === 0 && event.isTrusted) at = event.timeStamp; };
    for (const name of ["keydown", "pointerdown"]) addEventListener(name, begin, { capture: true });
    const limit = performance.now() + 20_000;
    const look = () => {
      if (at > 0 && isShown()) {
        for (const name of ["keydown", "pointerdown"]) removeEventListener(name, begin, { capture: true });
        // The frame that shows it is on its way: a task behind it runs when it was painted.
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => resolve(performance.now() - at);
        port2.postMessage(0);
        return;
      }
      if (performance.now() > limit) reject(new Error("not shown within 20 s: " + isShown));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
})();`;

export const seen = (page: Page): Promise<Seen> => page.evaluate<Seen>("tuttiSeen()");

/** To another screen as a link of the page leads there: the page goes on. */
export const turnTo = (page: Page, address: string): Promise<void> =>
  page.evaluate(`history.pushState({}, "", ${JSON.stringify(address)})`);

export const forget = (page: Page): Promise<void> => page.evaluate("tuttiForget()");

/** Milliseconds from the input that `act` makes until the expression holds in the page and is painted. */
export async function timed(page: Page, act: () => Promise<unknown>, isShown: string): Promise<number> {
  // It must listen before the input is made.
  await page.evaluate(`globalThis.tuttiTiming = tuttiTimed(() => ${isShown}); 0`);
  await act();
  return await page.evaluate<number>("tuttiTiming");
}

/** Bytes of JavaScript objects that are still needed. */
export async function heapOf(cdp: CDPSession): Promise<number> {
  for (let round = 0; round < 3; round += 1) await cdp.send("HeapProfiler.collectGarbage");
  return (await cdp.send("Runtime.getHeapUsage")).usedSize;
}

/** Nodes of the documents, also those that are only held by scripts. */
export const nodesOf = async (cdp: CDPSession): Promise<number> => (await cdp.send("Memory.getDOMCounters")).nodes;

/** How much of one core the page's main thread uses meanwhile, from 0 to 1. */
export async function busyDuring(cdp: CDPSession, work: () => Promise<unknown>): Promise<number> {
  const read = async (): Promise<{ busy: number; at: number }> => {
    const { metrics } = await cdp.send("Performance.getMetrics");
    const of = (name: string): number => metrics.find((metric) => metric.name === name)?.value ?? 0;
    return { busy: of("TaskDuration"), at: of("Timestamp") };
  };
  const before = await read();
  await work();
  const after = await read();
  return (after.busy - before.busy) / (after.at - before.at);
}

/** The value below which `share` of them are; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
