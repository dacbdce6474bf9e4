import assert from "node:assert/strict";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { desktop, enter, openBrowser, visit } from "./support/browser.ts";
import { makeFolder, makeRepository, startTutti, until, type Tutti } from "./support/tutti.ts";
import { addAgent, addProject, finished, give, shellAgent } from "./support/work.ts";

/** Several tabs, one stream: what each of them shows, when the tab that listens goes, and when the server is another one. */
let browser: Browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

interface Place {
  server: Tutti;
  project: string;
  home: string;
}

async function withServer(use: (place: Place) => Promise<void>): Promise<void> {
  const folder = makeFolder();
  const server = await startTutti({ home: folder.home });
  try {
    const project = await addProject(server, makeRepository(join(folder.path, "shop"), { "README.md": "A shop.\n" }));
    await addAgent(server, shellAgent);
    // Its program is not there: what is given to it waits.
    await server.client.command("agent.create", { name: "absent", backend: "acp", settings: { command: ["/nowhere/agent"] } });
    await use({ server, project, home: folder.home });
  } finally {
    await server.stop();
    folder.remove();
  }
}

/** A task that only stands in the list. */
const number = ({ server, project }: Place, at: number) =>
  give(server, project, `Number ${String(at).padStart(3, "0")}.`, { agent: "absent" });

const numbersIn = async (page: Page): Promise<string[]> =>
  (await page.getByText(/^Number \d{3}\.$/).allInnerTexts()).map((text) => /\d{3}/.exec(text)?.[0] ?? "").toSorted();

const upTo = (last: number, first = 1): string[] =>
  Array.from({ length: last + 1 - first }, (_, at) => String(at + first).padStart(3, "0"));

const shows = (page: Page, wanted: string[]): Promise<unknown> =>
  until(`${wanted.length} numbers in a tab`, async () => JSON.stringify(await numbersIn(page)) === JSON.stringify(wanted));

/** The streams that are open, by the page that opened each. */
function watchStreams(context: BrowserContext): { open(): Page[]; all: { page: Page; at: number }[] } {
  const all: { page: Page; at: number }[] = [];
  const open = new Map<unknown, Page>();
  context.on("request", (request) => {
    if (new URL(request.url()).pathname !== "/api/live") return;
    const page = request.frame().page();
    open.set(request, page);
    all.push({ page, at: performance.now() });
  });
  context.on("requestfinished", (request) => void open.delete(request));
  context.on("requestfailed", (request) => void open.delete(request));
  return { open: () => [...open.values()].filter((page) => !page.isClosed()), all };
}

/** Each tab notes what the one that reads tells them all: every event's number in its stream. */
const overhear = (context: BrowserContext): Promise<unknown> =>
  context.addInitScript({
    content: `globalThis.heard = []; new BroadcastChannel("tutti-live").onmessage = ({ data }) => {
      if (data.heard?.kind === "event") heard.push({ stream: data.heard.event.stream, seq: data.heard.event.seq }); };`,
  });

const heardBy = (page: Page): Promise<{ stream: string; seq: number }[]> => page.evaluate("heard");

test("three tabs have one stream between them; when the tab that reads it is closed another does, and nothing is lost or doubled", () =>
  withServer(async (place) => {
    const { server, project } = place;
    const { page: first, context, complaints } = await visit(browser, desktop);
    const streams = watchStreams(context);
    await overhear(context);
    await enter(first, server);
    // The palette and the list ask for the same tasks: what one has of them is no use to the other, and no harm.
    await number(place, 0);
    await first.keyboard.press("Control+k");
    await first.getByRole("option", { name: /Number 000/ }).waitFor();
    await first.keyboard.press("Escape");
    await first.getByRole("dialog").waitFor({ state: "hidden" });
    for (const key of ["g", "b"]) await first.keyboard.press(key);
    await first.getByRole("heading", { name: "Board" }).waitFor();
    await first.getByText("Number 000.", { exact: true }).waitFor();
    await first.keyboard.press("v");
    await first.getByRole("grid", { name: "Tasks" }).getByText("Number 000.", { exact: true }).waitFor();
    const tabs = [first, await context.newPage(), await context.newPage()];
    for (const tab of tabs.slice(1)) await tab.goto(`${server.url}/board?view=list`);
    for (const tab of tabs) await tab.locator("[data-connection=live]").waitFor();
    for (let at = 1; at <= 5; at += 1) await number(place, at);
    for (const tab of tabs) await shows(tab, upTo(5, 0));
    assert.equal(streams.open().length, 1, "the tabs have one stream between them");
    const [leader] = streams.open();
    assert.ok(leader && tabs.includes(leader));

    // Numbers go on while the tab that reads is closed.
    let closedAt = 0;
    for (let at = 6; at <= 40; at += 1) {
      if (at === 15) {
        await leader.close();
        closedAt = performance.now();
      }
      await number(place, at);
    }
    const left = tabs.filter((tab) => tab !== leader);
    for (const tab of left) await shows(tab, upTo(40, 0));
    assert.equal(streams.open().length, 1);
    const [next] = streams.open();
    assert.ok(next && left.includes(next));
    const took = streams.all.find(({ page, at }) => page === next && at > closedAt - 100);
    assert.ok(took && took.at - closedAt < 2_000, `another tab took over after ${took && took.at - closedAt} ms`);
    for (const tab of left) assert.equal(await tab.locator("[data-connection=live]").count(), 1);

    // Every event once, in the order of its stream: across the change as well.
    const { items } = await server.client.query("event.list", { stream: project, limit: 500 });
    const newest = Math.max(...items.map(({ seq }) => seq));
    const own = await until("the newest event to be told", async () => {
      const numbers = (await heardBy(left[0] ?? next)).filter(({ stream }) => stream === project).map(({ seq }) => seq);
      return numbers.includes(newest) && numbers;
    });
    assert.ok(own.length >= 40);
    assert.deepEqual(
      own,
      own.map((_, at) => (own[0] ?? 0) + at),
    );
    assert.deepEqual(complaints, []);
    await context.close();
  }));

test("answers are shown though events come faster than they do, and the last of them is of the last event", () =>
  withServer(async (place) => {
    const { server } = place;
    const { page, context, complaints } = await visit(browser, desktop);
    await number(place, 1);
    await enter(page, server, "/board?view=list");
    await shows(page, upTo(1));
    // Each answer takes longer than the next event, and is of the time when it was asked for.
    await page.route(/\/api\/tasks\?/, async (route) => {
      const response = await route.fetch().catch(() => null); // The page no longer wants it.
      await wait(500);
      if (response) await route.fulfill({ response }).catch(() => undefined);
    });
    const began = performance.now();
    let last = 1;
    let shownMeanwhile = 0;
    while (performance.now() - began < 4_000) {
      last += 1;
      await number(place, last);
      await wait(50);
      shownMeanwhile = Math.max(shownMeanwhile, (await numbersIn(page)).length);
    }
    assert.ok(shownMeanwhile > 1, "nothing was shown as long as there were events");
    await shows(page, upTo(last));
    assert.deepEqual(complaints, []);
    await context.close();
  }));

test("a tab that does not read the stream itself shows what an agent says while it speaks, and in the end each entry once", () =>
  withServer(async ({ server, project, home }) => {
    const { page: first, context, complaints } = await visit(browser, desktop);
    const streams = watchStreams(context);
    await enter(first, server, "/board?view=list");
    const task = await give(server, project, 'echo "said $((100 + 1))"; until test -f go; do sleep 0.05; done; echo "said $((100 + 2))"');
    const session = await until("its session", async () => (await server.client.query("task.get", { id: task.id })).session);
    const other = await context.newPage();
    await other.goto(`${server.url}/tasks/${task.id}`);
    const log = other.getByRole("log", { name: "Transcript" });
    await log.getByText("said 101").waitFor();
    assert.equal((await server.client.query("task.get", { id: task.id })).state, "running");
    assert.equal(await log.getByText("said 102").count(), 0);
    assert.deepEqual(streams.open(), [first]);

    writeFileSync(join(home, "sessions", session, "work", "go"), "");
    await finished(server, task.id);
    const { items } = await server.client.query("session.transcript", { id: session, limit: 500 });
    const times = (text: string, word: string): number => text.split(word).length - 1;
    const stored = items.map(({ text }) => text).join("\n");
    const inPage = async (word: string): Promise<number> => times(await log.innerText(), word);
    for (const word of ["said 101", "said 102"]) {
      await until(`${word} as often as it is stored`, async () => (await inPage(word)) === times(stored, word));
    }
    await other.locator(".head").getByText("done", { exact: true }).waitFor();
    for (const word of ["said 101", "said 102"]) assert.equal(await inPage(word), times(stored, word));
    assert.deepEqual(complaints, []);
    await context.close();
  }));

test("a server that comes back with an older store: its tabs show that store, and go on with it", async () => {
  const folder = makeFolder();
  let server = await startTutti({ home: folder.home });
  const { port } = new URL(server.url);
  const again = (): Promise<Tutti> => startTutti({ home: folder.home, env: { TUTTI_PORT: port } });
  try {
    const project = await addProject(server, makeRepository(join(folder.path, "shop"), { "README.md": "A shop.\n" }));
    await server.client.command("agent.create", { name: "absent", backend: "acp", settings: { command: ["/nowhere/agent"] } });
    await number({ server, project, home: folder.home }, 1);
    const { page: first, context, complaints } = await visit(browser, desktop);
    await enter(first, server, "/board?view=list");
    const second = await context.newPage();
    await second.goto(`${server.url}/board?view=list`);
    for (const tab of [first, second]) await shows(tab, upTo(1));

    await server.stop();
    const kept = join(folder.path, "kept");
    cpSync(folder.home, kept, { recursive: true });
    server = await again();
    for (const at of [2, 3, 4]) await number({ server, project, home: folder.home }, at);
    for (const tab of [first, second]) await shows(tab, upTo(4));

    await server.stop();
    rmSync(folder.home, { recursive: true });
    cpSync(kept, folder.home, { recursive: true });
    server = await again();
    for (const tab of [first, second]) await shows(tab, upTo(1));
    await number({ server, project, home: folder.home }, 2);
    for (const tab of [first, second]) await shows(tab, upTo(2));
    for (const tab of [first, second]) await tab.locator("[data-connection=live]").waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  } finally {
    await server.stop();
    folder.remove();
  }
});
