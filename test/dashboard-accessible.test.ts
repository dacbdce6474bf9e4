import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, Page } from "playwright-core";
import { desktop, enter, openBrowser, phone, visit } from "./support/browser.ts";
import { fillDashboard, viewsOf, type Filled, type View } from "./support/filled.ts";
import { makeFolder, startTutti, type Tutti } from "./support/tutti.ts";

/** Every page with data in it, judged by axe: light and dark, on a desktop and on a phone; and read at 320 px. */
const folder = makeFolder();
let server: Tutti;
let browser: Browser;
let filled: Filled;
before(async () => {
  [server, browser] = await Promise.all([startTutti({ home: folder.home, args: [] }), openBrowser()]);
  filled = await fillDashboard(server, folder.path);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  folder.remove();
});

const desktopWidth = 1440;
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** What axe calls serious or critical: the rule, the element, and why. */
async function faultsOf(page: Page): Promise<string[]> {
  const axe = new AxeBuilder({ page }).options({ runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] });
  const { violations } = await axe.setLegacyMode(true).analyze();
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, any, all, none }) => `${id}: ${html.slice(0, 200)} ${[...any, ...all, ...none][0]?.message ?? ""}`),
    );
}

/** The view with its data in sight: without it, it would be judged as clean as an empty sheet. */
async function open(page: Page, { path, keys, says }: View): Promise<void> {
  await page.goto(server.url + path);
  await page.locator("[data-connection=live]").waitFor();
  if (keys !== undefined) await page.keyboard.press(keys);
  for (const text of says) await page.getByText(text).filter({ visible: true }).first().waitFor();
}

async function inBothThemes(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.locator(`html[data-theme=${colorScheme}]`).waitFor();
    found.push(...(await faultsOf(page)).map((fault) => `${colorScheme}: ${fault}`));
  }
  return found;
}

/**
 * In the page: text that lies beyond the right edge where nobody can get it, because nothing there scrolls or says by "…" that there
 * is more.
 */
const lost = (width: number): string => `(() => {
  const found = [];
  for (const box of ["html", "body", "#root", "main"]) if (document.querySelector(box)?.scrollWidth > ${width}) found.push(box + " is wider");
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (node.data.trim() === "" || box.width === 0 || box.right <= ${width} + 1) continue;
    let reached = false;
    for (let at = node.parentElement; at && !reached; at = at.parentElement) {
      const { overflowX, textOverflow, clipPath, visibility } = getComputedStyle(at);
      reached = /auto|scroll/.test(overflowX) || textOverflow === "ellipsis" || clipPath !== "none" || visibility === "hidden";
    }
    if (!reached) found.push(node.data.slice(0, 60));
  }
  return found;
})()`;

const lostAt = async (page: Page, width: number): Promise<string[]> =>
  (await page.evaluate<string[]>(lost(width))).map((text) => `out of sight at ${width} px: ${text}`);

for (const [name, options, width] of [
  ["on a desktop", desktop, desktopWidth],
  ["on a phone", phone, 390],
] as const) {
  test(`${name} every page is free of serious faults in light and dark, and no text is lost at its side${options === phone ? ", also at 320 px" : ""}`, async () => {
    const { page, context, complaints } = await visit(browser, options);
    await enter(page, server);
    const found: string[] = [];
    for (const view of viewsOf(filled)) {
      await open(page, view);
      const own = [...(await inBothThemes(page)), ...(await lostAt(page, width))];
      if (options === phone) {
        await page.setViewportSize({ width: 320, height: 640 });
        own.push(...(await lostAt(page, 320)));
        await page.setViewportSize(phone.viewport ?? { width, height: 844 });
      }
      found.push(...own.map((fault) => `${view.name}, ${fault}`));
    }
    assert.deepEqual(found, []);
    assert.deepEqual(complaints, []);
    await context.close();
  });
}

test("so is the page of a browser that is not let in", async () => {
  for (const options of [desktop, phone]) {
    const { page, context } = await visit(browser, options);
    await page.goto(`${server.url}/inbox`);
    await page.getByText("This browser is not let in").waitFor();
    assert.deepEqual(await inBothThemes(page), []);
    await page.setViewportSize({ width: 320, height: 640 });
    assert.deepEqual(await lostAt(page, 320), []);
    await context.close();
  }
});

test("a page with faults is not called free of them", async () => {
  const { page, context } = await visit(browser);
  await enter(page, server, "/runs");
  await page.getByText("fix-bugs").waitFor();
  assert.deepEqual(await faultsOf(page), []);
  const plant = (html: string) => page.evaluate(`document.querySelector("main").insertAdjacentHTML("afterbegin", ${JSON.stringify(html)})`);
  await plant('<p style="color: #999; background: #aaa">grey on grey</p><button></button><img src="/favicon.svg" width="16">');
  const rules = (await faultsOf(page)).map((fault) => fault.split(":")[0]);
  assert.deepEqual(new Set(rules), new Set(["button-name", "color-contrast", "image-alt"]));
  assert.deepEqual(await lostAt(page, desktopWidth), []);
  await plant(`<p style="width: 3000px; white-space: nowrap">${"far out ".repeat(400)}</p>`);
  assert.match((await lostAt(page, desktopWidth)).join("\n"), /far out/);
  await context.close();
});
