import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";
import type { Tutti } from "./tutti.ts";

const programs = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

function findBrowser(): string {
  const { TUTTI_TEST_BROWSER: named, PATH = "" } = process.env;
  if (named) return named;
  for (const folder of PATH.split(delimiter)) {
    for (const name of programs) {
      try {
        const path = join(folder, name);
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        continue; // Another place.
      }
    }
  }
  throw new Error("the tests need Chromium: apt-get install -y chromium");
}

/** The system's own Chromium, without a window. Close it. */
export const openBrowser = (): Promise<Browser> =>
  // As root Chromium refuses to run with its own sandbox.
  chromium.launch({ executablePath: findBrowser(), args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });

export const desktop: BrowserContextOptions = { viewport: { width: 1440, height: 900 } };
export const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** A page, and what it complained about: errors of its scripts, console errors, and what its policy refused. */
export interface Watched {
  page: Page;
  context: BrowserContext;
  complaints: string[];
}

/** A visitor with an empty browser of their own. */
export async function visit(browser: Browser, options: BrowserContextOptions = desktop): Promise<Watched> {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const complaints: string[] = [];
  await context.exposeBinding("tuttiRefused", (_source, text: string) => void complaints.push(text));
  await context.addInitScript({
    content: `document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) =>
      tuttiRefused("policy: " + violatedDirective + " " + blockedURI + " " + sample));`,
  });
  context.on("weberror", (error) => complaints.push(`error: ${String(error.error())}`));
  context.on("console", (message) => {
    // A server that is killed on purpose, and an answer that is an error on purpose, are told by the page itself.
    if (message.type() === "error" && !/Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED/.test(message.text()))
      complaints.push(`console: ${message.text()}`);
  });
  return { page: await context.newPage(), context, complaints };
}

/** Opens the dashboard as a person does: by a fresh one-time link. */
export async function enter(page: Page, server: Pick<Tutti, "client" | "url">, path = "/inbox"): Promise<void> {
  const link = await server.client.command("link.create", {});
  await page.goto(server.url + link.path);
  await page.locator("[data-connection=live]").waitFor();
  if (path !== "/inbox") await page.goto(server.url + path);
}
