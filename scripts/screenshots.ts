import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { enter, openBrowser, phone, visit } from "../test/support/browser.ts";
import { fillDashboard, viewsOf, type View } from "../test/support/filled.ts";
import { makeFolder, startTutti, type Tutti } from "../test/support/tutti.ts";
import { smallPng } from "./small-png.ts";

/**
 * `npm run screens`: a picture of every page of the dashboard, with data in it, light and dark, for desks and phones, into
 * docs/screens. The server, the work that is seen and the browser are real; only the agents are scripted.
 */
const out = join(dirname(import.meta.dirname), "docs/screens");

/** The pages themselves, in both themes and sizes; of their tabs and windows one picture is enough. */
const pages = [
  "inbox",
  "inbox-question",
  "fleet-tree",
  "board",
  "task-asking",
  "task-transcript",
  "task-diff",
  "runs",
  "run-failed",
  "agents",
  "projects",
];

const isShot = ({ name }: View, theme: string, suffix: string): boolean => pages.includes(name) || (theme === "light" && suffix === "");

const sizes: { suffix: string; options: BrowserContextOptions }[] = [
  { suffix: "", options: { viewport: { width: 1280, height: 800 } } },
  { suffix: "-phone", options: { ...phone, deviceScaleFactor: 1 } },
];

const fileOf = ({ name }: View, theme: string, suffix: string): string =>
  `${name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "")}-${theme}${suffix}.png`;

async function shoot(browser: Browser, server: Tutti, views: View[], { suffix, options }: (typeof sizes)[number]): Promise<void> {
  const { page, context, complaints } = await visit(browser, options);
  await enter(page, server);
  for (const view of views) {
    for (const colorScheme of (["light", "dark"] as const).filter((theme) => isShot(view, theme, suffix))) {
      await page.emulateMedia({ colorScheme });
      await page.goto(server.url + view.path);
      await page.locator("[data-connection=live]").waitFor();
      if (view.keys !== undefined) await page.keyboard.press(view.keys);
      for (const text of view.says) {
        // What is not there is a fault of the page or of the data; the picture of it shows which.
        await page
          .getByText(text)
          .filter({ visible: true })
          .first()
          .waitFor()
          .catch(async (error: unknown) => {
            await page.screenshot({ path: join(out, `missing-${fileOf(view, colorScheme, suffix)}`) });
            throw new Error(`${view.name} does not show "${String(text)}"`, { cause: error });
          });
      }
      await page.locator(`html[data-theme=${colorScheme}]`).waitFor();
      writeFileSync(join(out, fileOf(view, colorScheme, suffix)), smallPng(await page.screenshot({ animations: "disabled" })));
    }
  }
  if (complaints.length > 0) throw new Error(`the pages complained: ${complaints.join("; ")}`);
  await context.close();
}

function writeIndex(views: View[]): void {
  const lines = views.map((view) => {
    const link = (theme: string, suffix: string, words: string): string =>
      isShot(view, theme, suffix) ? `[${words}](${fileOf(view, theme, suffix)})` : "";
    return `| ${view.name} | ${link("light", "", "light")} | ${link("dark", "", "dark")} | ${link("light", "-phone", "light")} | ${link("dark", "-phone", "dark")} |`;
  });
  const text = `# Screens

Made by \`npm run screens\`: a real server, scripted agents, Debian's Chromium.

| page | desktop | desktop | phone | phone |
| --- | --- | --- | --- | --- |
${lines.join("\n")}
`;
  writeFileSync(join(out, "README.md"), text);
}

/** Node.js under a name of its own: where this machine has it is nobody's business, and the agents' page shows it. */
function plantNode(bin: string): string {
  const program = join(bin, "node");
  mkdirSync(bin);
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  return program;
}

const folder = makeFolder();
const [server, browser] = await Promise.all([startTutti({ home: folder.home, args: [] }), openBrowser()]);
try {
  const views = viewsOf(await fillDashboard(server, folder.path, plantNode(join(folder.path, "bin"))));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const size of sizes) await shoot(browser, server, views, size);
  writeIndex(views);
  const bytes = readdirSync(out).reduce((sum, name) => sum + statSync(join(out, name)).size, 0);
  console.log(`${views.length} pages, ${readdirSync(out).length - 1} pictures, ${Math.round(bytes / 1024)} KB in docs/screens`);
} finally {
  await browser.close();
  await server.stop();
  folder.remove();
}
