import { setTimeout as wait } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { percentile, seen } from "./observe.ts";
import { type Add, listRow, openRoom } from "./room.ts";
import type { BigServer } from "./serve.ts";

/** First loads: nothing is cached, and the server has everything. */
export async function measureLoads(browser: Browser, server: BigServer, slower: number, add: Add): Promise<void> {
  const room = await openRoom(browser, server, slower);
  const { page, cdp, context } = room;
  await cdp.send("Network.enable");
  const load = async (rounds: number) => {
    const found = [];
    for (let round = 0; round < rounds; round += 1) {
      await cdp.send("Network.clearBrowserCache");
      await page.goto(`${server.url}/inbox`);
      await page.locator(listRow).first().waitFor();
      await wait(2_000);
      found.push(await seen(page));
    }
    return {
      lcp: percentile(
        found.map(({ lcp }) => lcp),
        0.5,
      ),
      cls: Math.max(...found.map(({ cls }) => cls)),
      blocked: percentile(
        found.map(({ blocked }) => blocked),
        0.5,
      ),
    };
  };
  const near = await load(5);
  add(
    { what: "LCP of the inbox, from this machine", value: near.lcp, unit: "ms", limit: 1_200, note: "median of 5, nothing cached" },
    { what: "layout shift while it loads", value: near.cls, unit: "", limit: 0.05, note: "the worst of 5" },
    { what: "TBT while it loads", value: near.blocked, unit: "ms", limit: 150, note: "median of 5" },
  );
  // As Lighthouse has a desktop: 10 Mbit/s with 40 ms.
  const network = { offline: false, latency: 40, downloadThroughput: (10 * 1_024 * 1_024) / 8, uploadThroughput: (10 * 1_024 * 1_024) / 8 };
  await cdp.send("Network.emulateNetworkConditions", network);
  const far = await load(3);
  add({ what: "LCP of the inbox over 10 Mbit/s with 40 ms", value: far.lcp, unit: "ms", limit: 2_000, note: "median of 3" });
  await context.close();
}
