import { readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openBrowser } from "../test/support/browser.ts";
import { builtDashboard, readBuild } from "../test/support/built-dashboard.ts";
import { measureLive } from "./budgets/measure-live.ts";
import { measureLoads } from "./budgets/measure-loads.ts";
import { measureUse } from "./budgets/measure-use.ts";
import type { Figure } from "./budgets/room.ts";
import { startBigServer } from "./budgets/serve.ts";

/**
 * Measures the dashboard in a real browser before a server that has as much as a large team makes in a month, prints each figure
 * beside its budget, and writes docs/dashboard-budgets.md. Ends with 1 when a budget is not kept.
 * `--slower 4` slows the processor down; `--only loads,use,live`; `--dashboard <folder>` another build; with any of these nothing is written.
 */
const root = fileURLToPath(new URL("../", import.meta.url));
const { values } = parseArgs({
  options: {
    slower: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    dashboard: { type: "string", default: builtDashboard },
  },
});
const parts = { loads: measureLoads, use: measureUse, live: measureLive };
const wanted = values.only === "" ? Object.keys(parts) : values.only.split(",");

const figures = sizes();
console.error("filling a server");
const server = await startBigServer(values.dashboard);
const browser = await openBrowser();
const browserVersion = browser.version();
try {
  for (const [name, measure] of Object.entries(parts)) {
    if (!wanted.includes(name)) continue;
    console.error(`measuring: ${name}`);
    await measure(browser, server, Number(values.slower), (...found) => {
      for (const figure of found) console.log(lineOf(figure));
      figures.push(...found);
    });
  }
} finally {
  await browser.close();
  await server.stop();
}
if (process.argv.length === 2) writeFileSync(join(root, "docs/dashboard-budgets.md"), document());
const broken = figures.filter((figure) => !isKept(figure));
console.log(broken.length === 0 ? "every budget is kept" : `not kept: ${broken.map(({ what }) => what).join("; ")}`);
process.exitCode = broken.length === 0 ? 0 : 1;

function sizes(): Figure[] {
  const build = readBuild(values.dashboard);
  const sum = (files: readonly { gzip: number }[]): number => files.reduce((all, { gzip }) => all + gzip, 0) / 1_000;
  const whole = (name: string): number => {
    const { js, css } = build.page(name);
    return sum(js) + sum(css);
  };
  const first = build.page("inbox-page");
  const pages = build.lazy.filter((name) => name.endsWith("-page"));
  const largest = pages.toSorted((a, b) => whole(b) - whole(a))[0] ?? "inbox-page";
  const unit = "KB";
  return [
    {
      what: "shell and first screen, compressed",
      value: whole("inbox-page"),
      unit,
      limit: 280,
      note: `${first.js.length + first.css.length} files`,
    },
    { what: "its styles, compressed", value: sum(first.css), unit, limit: 40 },
    { what: "the largest page with the shell, compressed", value: whole(largest), unit, limit: 450, note: largest },
    {
      what: "fonts for Latin text",
      value: build.latinFonts.reduce((all, { bytes }) => all + bytes, 0) / 1_000,
      unit,
      limit: 120,
      note: `${build.latinFonts.length} files`,
    },
  ];
}

function isKept({ value, limit }: Figure): boolean {
  return limit === null || value <= limit;
}

function shownValue(value: number, unit: Figure["unit"]): string {
  const digits = unit === "" ? (Number.isInteger(value) ? 0 : 3) : unit === "ms" ? 0 : 1;
  return `${value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`.trim();
}

function lineOf(figure: Figure): string {
  const { what, value, unit, limit, note = "" } = figure;
  const mark = limit === null ? " " : isKept(figure) ? "✓" : "✗";
  return `${mark} ${what.padEnd(58)} ${shownValue(value, unit).padStart(16)}  ${(limit === null ? "" : `≤ ${shownValue(limit, unit)}`).padEnd(18)} ${note}`;
}

function document(): string {
  const rows = figures.map((figure) => {
    const { what, value, unit, limit, note = "" } = figure;
    const kept = limit === null ? "" : isKept(figure) ? "yes" : "**no**";
    return `| ${what} | ${shownValue(value, unit)} | ${limit === null ? "" : shownValue(limit, unit)} | ${kept} | ${note} |`;
  });
  const versionOf = (name: string): string =>
    (JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8")) as { version: string }).version;
  const versions = ["react", "vite", "@base-ui/react", "@tanstack/react-query", "@tanstack/react-router", "playwright-core"].map(
    (name) => `${name} ${versionOf(name)}`,
  );
  return `# The dashboard's budgets

Written by \`npm run budgets\` on ${new Date().toISOString().slice(0, 10)}; measured by the browser itself (largest contentful paint, event
timing, long tasks, heap after a collection) on two shared cores without a graphics card, in Chromium ${browserVersion}
without a window, 1440 × 900. Real keys and presses; "to paint" is from the event until the next frame. The server and whatever else
ran on the same two cores: on average ${(loadavg()[1] ?? 0).toFixed(1)} processes wanted to run in these minutes, so an idle machine is faster.

The server behind it has 20 projects, 1,000 agents at work, 100,000 tasks, a conversation of 50,000 entries, a change of 20,000 lines,
a run of 300 steps and one with a group of 500. Rows were written before (\`bench/fill.ts\`); what goes on is played (\`bench/play.ts\`).

| what | measured | budget | kept | |
| --- | ---: | ---: | --- | --- |
${rows.join("\n")}

Node ${process.version}, ${versions.join(", ")}.
`;
}
