import { setTimeout as wait } from "node:timers/promises";
import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { desktop, enter, visit } from "../../test/support/browser.ts";
import { busyDuring, forget, heapOf, nodesOf, observers, percentile, seen, timed, turnTo } from "./observe.ts";
import type { BigServer } from "./serve.ts";

/** One figure. `limit`: the budget of the design, in the same unit; null: for information only. */
export interface Figure {
  what: string;
  value: number;
  unit: "ms" | "" | "KB" | "MB" | "% of a core";
  limit: number | null;
  note?: string;
}

/** Takes figures as they are found. */
type Add = (...figures: Figure[]) => void;

interface Room {
  page: Page;
  context: BrowserContext;
  cdp: CDPSession;
  server: BigServer;
  complaints: string[];
}

/** A browser of its own that was let in. `slower`: how many times the processor is slowed down. */
async function openRoom(browser: Browser, server: BigServer, slower: number): Promise<Room> {
  const { page, context, complaints } = await visit(browser, desktop);
  await context.addInitScript({ content: observers });
  const cdp = await context.newCDPSession(page);
  await cdp.send("Performance.enable");
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: slower });
  await enter(page, server);
  return { page, context, cdp, server, complaints };
}

const shown = (selector: string, least = 1): string => `document.querySelectorAll(${JSON.stringify(selector)}).length >= ${least}`;
const titled = (title: string): string => `document.querySelector("h1")?.textContent === ${JSON.stringify(title)}`;
const listRow = "[role=option]";
const gridRow = "[role=row][data-key]";

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

/** What a person does, by real keys and presses, and how long each took until it was painted. */
export async function measureUse(browser: Browser, server: BigServer, slower: number, add: Add): Promise<void> {
  const room = await openRoom(browser, server, slower);
  const { page, cdp, context } = room;
  const all: number[] = [];
  let longest = { ms: 0, where: "" };
  /** Collects the interactions that were made since the last time. */
  const took = async (where: string): Promise<void> => {
    await wait(300);
    const { interactions, interactionCount, longest: task } = await seen(page);
    // Too quick to be told: under 16 ms.
    const quick = Array.from({ length: Math.max(0, interactionCount - interactions.length) }, () => 8);
    const values = [...interactions, ...quick];
    all.push(...values);
    if (task > longest.ms) longest = { ms: task, where };
    if (values.length > 0)
      add({
        what: `interaction to paint: ${where}`,
        value: percentile(values, 0.75),
        unit: "ms",
        limit: 100,
        note: `p75 of ${values.length}, the slowest ${Math.max(...values)}, longest task ${task.toFixed(0)}`,
      });
    await forget(page);
  };
  const press = async (keys: string, times = 1): Promise<void> => {
    for (let time = 0; time < times; time += 1) {
      await page.keyboard.press(keys);
      await wait(60);
    }
  };

  await page.locator(listRow).first().waitFor();
  await wait(2_500);
  await forget(page);
  await press("j", 25);
  await press("k", 10);
  await took("j and k in the inbox");
  const peeks: number[] = [];
  for (const at of [2, 3, 4, 5, 6, 7]) {
    const row = page.locator(listRow).nth(at);
    const name = (await row.getAttribute("data-key")) ?? "";
    const opened = `document.querySelector(${JSON.stringify(`[data-key="${name}"][aria-current]`)}) !== null && document.querySelector(".answer, .pane__body h3") !== null`;
    peeks.push(await timed(page, () => row.click(), opened));
  }
  add({ what: "a peek is open", value: percentile(peeks, 0.95), unit: "ms", limit: 100, note: `p95 of ${peeks.length}` });
  await took("presses in the inbox");

  await page.keyboard.press("Control+k");
  await page.locator(".palette__input").waitFor();
  await wait(500);
  await forget(page);
  const strokes: number[] = [];
  for (const key of "discount") {
    strokes.push(await timed(page, () => page.keyboard.press(key), shown(".palette__item, .palette__list + p")));
    await wait(60);
  }
  add({
    what: "a key in the palette until its results",
    value: percentile(strokes, 0.95),
    unit: "ms",
    limit: 50,
    note: `p95 of ${strokes.length}`,
  });
  await took("typing in the palette");
  await page.keyboard.press("Escape");

  await turnTo(page, `/fleet?lens=table`);
  await page.locator(gridRow).nth(20).waitFor();
  await wait(1_000);
  await took("the fleet's table opens");
  await page.mouse.move(500, 500);
  const frames = page.evaluate<number[]>(`new Promise((resolve) => {
    const times = []; let last = 0; const end = performance.now() + 3000;
    const frame = (at) => { if (last) times.push(at - last); last = at; if (at < end) requestAnimationFrame(frame); else resolve(times); };
    requestAnimationFrame(frame); })`);
  for (let turn = 0; turn < 50; turn += 1) {
    await page.mouse.wheel(0, 400);
    await wait(50);
  }
  add({
    what: "frames while the fleet's table scrolls",
    value: percentile(await frames, 0.95),
    unit: "ms",
    limit: null,
    note: "p95",
  });
  await page.locator(gridRow).nth(5).click();
  await press("j", 20);
  await took("j in the fleet's table");
  await page.getByLabel("State").selectOption("running");
  await wait(1_000);
  await took("a filter of the fleet");

  await turnTo(page, `/board?view=list`);
  await page.locator(gridRow).nth(20).waitFor();
  await wait(1_000);
  await took("the board's list opens");
  await page.getByLabel("Find by title").click();
  for (const key of "discount") await press(key);
  await wait(1_000);
  await took("typing a filter of 100,000 tasks");

  await turnTo(page, `/tasks/${server.filled.talkative.task}`);
  await page.getByText("Loading the conversation").waitFor({ state: "hidden", timeout: 120_000 });
  await wait(500);
  await took("a conversation of 50,000 entries is read");
  for (const key of ["3", "4", "5", "1", "3", "1"]) {
    await press(key);
    await wait(700);
  }
  await took("tabs of its task");
  await page.getByLabel("Find", { exact: true }).click();
  for (const key of "rounding") await press(key);
  await wait(1_500);
  await took("finding in 50,000 entries");

  await turnTo(page, `/tasks/${server.filled.changed}`);
  await page.locator("h1").waitFor();
  await wait(1_000);
  await forget(page);
  const diff = await timed(page, () => page.keyboard.press("2"), shown(".dl", 20));
  add({ what: "a diff of 20,000 lines is open", value: diff, unit: "ms", limit: null });
  await wait(500);
  await took("the tab of a diff of 20,000 lines");

  for (const [name, run] of [
    ["300 steps", server.filled.longRun],
    ["a group of 500", server.filled.wideRun],
  ] as const) {
    await turnTo(page, `/runs/${run}`);
    await page.locator(".gt__row[data-row]").first().waitFor();
    await wait(1_000);
    await took(`a run of ${name} opens`);
    await page.locator(".gt__row[data-row]").first().click();
    await press("ArrowDown", 15);
    await took(`moving in a run of ${name}`);
  }

  // Each screen a second time, from what is cached.
  const ways = [
    ["f", "Fleet", gridRow],
    ["b", "Board", "article, .card, [data-key]"],
    ["r", "Runs", gridRow],
    ["i", "Inbox", listRow],
  ] as const;
  const again: { title: string; ms: number }[] = [];
  for (const round of [1, 2, 3]) {
    for (const [key, title, row] of ways) {
      await page.keyboard.press("g");
      const ms = await timed(page, () => page.keyboard.press(key), `${titled(title)} && ${shown(row)}`);
      if (round > 1) again.push({ title, ms });
      await wait(1_000);
    }
  }
  for (const [, title] of ways) {
    const own = again.filter((one) => one.title === title).map(({ ms }) => ms);
    add({
      what: `to the ${title.toLowerCase()}, which was seen before`,
      value: Math.min(...own),
      unit: "ms",
      limit: 100,
      note: `the better of ${own.length}`,
    });
  }
  await took("going between screens");
  add(
    { what: "INP of all of it", value: percentile(all, 0.75), unit: "ms", limit: 100, note: `p75 of ${all.length}` },
    { what: "the slowest interaction", value: Math.max(...all), unit: "ms", limit: 200 },
    { what: "the longest task", value: longest.ms, unit: "ms", limit: 200, note: longest.where },
    { what: "heap after every page", value: (await heapOf(cdp)) / 1e6, unit: "MB", limit: 200 },
    { what: "nodes after every page", value: await nodesOf(cdp), unit: "", limit: null },
    {
      what: "errors and refusals of the page",
      value: room.complaints.length,
      unit: "",
      limit: 0,
      note: room.complaints.slice(0, 3).join("; "),
    },
  );
  await context.close();
}

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

  await turnTo(page, `/tasks/${server.filled.talkative.task}`);
  await page.getByText("Loading the conversation").waitFor({ state: "hidden", timeout: 120_000 });
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
