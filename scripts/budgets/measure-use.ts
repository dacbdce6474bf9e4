import { setTimeout as wait } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { forget, heapOf, nodesOf, percentile, seen, timed, turnTo } from "./observe.ts";
import { type Add, gridRow, listRow, openRoom, readConversation, shown, titled } from "./room.ts";
import type { BigServer } from "./serve.ts";

/** What a person does, by real keys and presses, and how long each took until it was painted. */
export async function measureUse(browser: Browser, server: BigServer, slower: number, add: Add): Promise<void> {
  const room = await openRoom(browser, server, slower);
  const { page, cdp, context } = room;
  const all: number[] = [];
  let longest = { ms: 0, where: "" };
  /** The interactions that were made since the last time, and the longest task among them. */
  const collect = async (where: string): Promise<{ values: number[]; task: number }> => {
    await wait(300);
    const { interactions, interactionCount, longest: task } = await seen(page);
    // Too quick to be told: under 16 ms.
    const quick = Array.from({ length: Math.max(0, interactionCount - interactions.length) }, () => 8);
    const values = [...interactions, ...quick];
    all.push(...values);
    if (task > longest.ms) longest = { ms: task, where };
    await forget(page);
    return { values, task };
  };
  const took = async (where: string): Promise<void> => {
    const { values, task } = await collect(where);
    const note = `p75 of ${values.length}, the slowest ${Math.max(...values)}, longest task ${task.toFixed(0)}`;
    if (values.length > 0) add({ what: `interaction to paint: ${where}`, value: percentile(values, 0.75), unit: "ms", limit: 100, note });
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

  const read = await readConversation(page, server.filled.talkative.task);
  add({ what: "a conversation of 50,000 entries is read", value: read, unit: "ms", limit: null });
  await wait(500);
  await took("reading it");
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
    const fold = page.getByRole("button", { name: /^Unfold/ }).first();
    if ((await fold.count()) > 0) await fold.click();
    await page.locator(".gt__row[data-row]").nth(100).waitFor();
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
  const again: { title: string; ms: number; task: number }[] = [];
  for (const round of [1, 2, 3]) {
    for (const [key, title, row] of ways) {
      await page.keyboard.press("g");
      const ms = await timed(page, () => page.keyboard.press(key), `${titled(title)} && ${shown(row)}`);
      await wait(1_000);
      const { task } = await collect(`going to the ${title.toLowerCase()}`);
      if (round > 1) again.push({ title, ms, task });
    }
  }
  for (const [, title] of ways) {
    const own = again.filter((one) => one.title === title).map(({ ms }) => ms);
    const task = Math.max(...again.filter((one) => one.title === title).map((one) => one.task));
    add({
      what: `to the ${title.toLowerCase()}, which was seen before`,
      value: Math.min(...own),
      unit: "ms",
      limit: 100,
      note: `the better of ${own.length}, longest task ${task.toFixed(0)}`,
    });
  }
  add(
    { what: "INP of all of it", value: percentile(all, 0.75), unit: "ms", limit: 100, note: `p75 of ${all.length}` },
    { what: "the slowest but one in fifty", value: percentile(all, 0.98), unit: "ms", limit: 200, note: `the slowest ${Math.max(...all)}` },
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
