import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import { desktop, enter, visit } from "../../test/support/browser.ts";
import { observers, turnTo } from "./observe.ts";
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
export type Add = (...figures: Figure[]) => void;

interface Room {
  page: Page;
  context: BrowserContext;
  cdp: CDPSession;
  server: BigServer;
  complaints: string[];
}

/** A browser of its own that was let in. `slower`: how many times the processor is slowed down. */
export async function openRoom(browser: Browser, server: BigServer, slower: number): Promise<Room> {
  const { page, context, complaints } = await visit(browser, desktop);
  await context.addInitScript({ content: observers });
  const cdp = await context.newCDPSession(page);
  await cdp.send("Performance.enable");
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: slower });
  await enter(page, server);
  return { page, context, cdp, server, complaints };
}

export const shown = (selector: string, least = 1): string => `document.querySelectorAll(${JSON.stringify(selector)}).length >= ${least}`;
export const titled = (title: string): string => `document.querySelector("h1")?.textContent === ${JSON.stringify(title)}`;
export const listRow = "[role=option]";
export const gridRow = "[role=row][data-key]";

/** Opens a task in the page that is there and waits until its whole conversation was read; answers how long that took, ms. */
export async function readConversation(page: Page, task: string): Promise<number> {
  const began = performance.now();
  await turnTo(page, `/tasks/${task}`);
  await page.getByRole("log").waitFor();
  await page.locator("[role=log] .loading").waitFor({ state: "hidden", timeout: 120_000 });
  return performance.now() - began;
}
