import { setTimeout as wait } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { busyDuring, forget, heapOf, nodesOf, percentile, seen, turnTo } from "./observe.ts";
import { type Add, gridRow, listRow, openRoom, readConversation } from "./room.ts";
import type { BigServer } from "./serve.ts";

/** Waits until the expression holds in the page; throws when it does not within a minute. */
const shownWithin = (page: Page, isShown: string): Promise<unknown> =>
  page.evaluate(`new Promise((resolve, reject) => { const limit = performance.now() + 60_000; const look = () => ${isShown} ? resolve(0)
    : performance.now() > limit ? reject(new Error("not shown within a minute")) : setTimeout(look, 10); look(); })`);

const said = (number: number): string => `document.querySelector("[role=log]").textContent.includes("number ${number}.")`;

/** What a thousand agents do to a page that is open. */
export async function measureLive(browser: Browser, server: BigServer, slower: number, add: Add): Promise<void> {
  const room = await openRoom(browser, server, slower);
  const { page, cdp, context } = room;
  // One event a minute and agent: about 17 each second.
  const usual = 17;
  await turnTo(page, `/fleet`);
  await page.locator(gridRow).first().waitFor();
  await wait(4_000);
  add({
    what: "the fleet's page when nothing happens",
    value: 100 * (await busyDuring(cdp, () => wait(10_000))),
    unit: "% of a core",
    limit: 10,
  });
  const busy = await busyDuring(cdp, () => server.order({ kind: "play", events: usual * 15, perSecond: usual }));
  add({ what: `the fleet's page at ${usual} events/s`, value: 100 * busy, unit: "% of a core", limit: null });

  await turnTo(page, `/board?view=list`);
  await page.locator(gridRow).nth(5).waitFor();
  await wait(1_000);
  await forget(page);
  const playing = server.order({ kind: "play", events: 100_000, perSecond: usual });
  const late: number[] = [];
  for (let number = 1; number <= 30; number += 1) {
    const title = `Probe number ${number} of the live list`;
    const at =
      page.evaluate<number>(`new Promise((resolve) => { const look = () => document.querySelector('[role=grid]').textContent.includes(${JSON.stringify(title)})
      ? requestAnimationFrame(() => setTimeout(() => resolve(Date.now()))) : setTimeout(look, 10); look(); })`);
    const committed = (await server.order({ kind: "task", title })) as number;
    late.push((await at) - committed);
    await wait(250);
  }
  await server.order({ kind: "pause" });
  await playing;
  add({
    what: `from an event to its pixels at ${usual} events/s`,
    value: percentile(late, 0.95),
    unit: "ms",
    limit: 500,
    note: `p95 of ${late.length}, median ${percentile(late, 0.5)}`,
  });

  await readConversation(page, server.filled.talkative.task);
  await wait(500);
  const slow: number[] = [];
  for (let time = 0; time < 10; time += 1) {
    const spoken = (await server.order({ kind: "speak", entries: 20 })) as number;
    const began = performance.now();
    await shownWithin(page, said(spoken));
    slow.push(performance.now() - began);
  }
  add({
    what: "from the last words to the page, of 50,000 entries",
    value: Math.max(...slow),
    unit: "ms",
    limit: 2_000,
    note: `the slowest of ${slow.length}`,
  });

  const { longest } = await seen(page);
  add({ what: "the longest task while it listens", value: longest, unit: "ms", limit: 200 });

  // Ten minutes of it at once, on the page that shows most.
  for (const address of ["/inbox", "/fleet?lens=table"]) {
    await turnTo(page, address);
    await page
      .locator(address === "/inbox" ? listRow : gridRow)
      .first()
      .waitFor();
    await wait(1_500);
    await forget(page);
    const before = await heapOf(cdp);
    await server.order({ kind: "play", events: 5_000, perSecond: 200 });
    await wait(3_000);
    const after = await seen(page);
    const heap = await heapOf(cdp);
    add(
      { what: `longest task during 5,000 events, ${address}`, value: after.longest, unit: "ms", limit: 200, note: "200 events/s" },
      {
        what: `heap after 5,000 events, ${address}`,
        value: heap / 1e6,
        unit: "MB",
        limit: 200,
        note: `${(before / 1e6).toFixed(0)} MB before`,
      },
      { what: `nodes after 5,000 events, ${address}`, value: await nodesOf(cdp), unit: "", limit: null },
    );
  }
  add({
    what: "errors and refusals of the live page",
    value: room.complaints.length,
    unit: "",
    limit: 0,
    note: room.complaints.slice(0, 3).join("; "),
  });
  await context.close();
}
