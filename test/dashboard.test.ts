import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { desktop, enter, openBrowser, phone, visit } from "./support/browser.ts";
import { git, makeFolder, startTutti, until, type Tutti } from "./support/tutti.ts";

/** What a person does in the dashboard, in a real browser, with a real server behind it that runs the tour. */
let browser: Browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

async function withTour(use: (server: Tutti, home: string) => Promise<void>): Promise<void> {
  const folder = makeFolder();
  const server = await startTutti({ home: folder.home, args: [] });
  try {
    await until("the release notes to wait for a person", async () => {
      const { items } = await server.client.query("run.list", { limit: 10 });
      return items.some(({ flow, state }) => flow === "release-notes" && state === "needs you");
    });
    await use(server, folder.home);
  } finally {
    await server.stop();
    folder.remove();
  }
}

const runOf = async ({ client }: Tutti, flow: string) => {
  const run = (await client.query("run.list", { limit: 10 })).items.find((one) => one.flow === flow);
  assert.ok(run, `there is no run of ${flow}`);
  return run;
};

for (const [name, options] of Object.entries({ "on a desktop": desktop, "on a phone, 390 px": phone })) {
  test(`${name}: the printed link opens the dashboard; the tour's runs, a transcript and a diff are read, and its question is answered`, () =>
    withTour(async (server) => {
      const { page, context, complaints } = await visit(browser, options);
      // The link that `npm start` printed, as the person uses it.
      const link = await until("the link", () => /^open=(\S+)$/m.exec(server.output())?.[1] ?? null);
      await page.goto(link);
      await page.locator("[data-connection=live]").waitFor();
      assert.ok(!page.url().includes("k="), "the code is taken out of the address");
      await until("the number in the title", async () => (await page.title()) === "(1) Inbox · Tutti");

      await page.goto(`${server.url}/runs`);
      await page.getByText("fix-bugs").waitFor();
      await page.getByText("release-notes").waitFor();

      const fix = await runOf(server, "fix-bugs");
      const item = (await server.client.query("run.steps", { id: fix.id, limit: 50 })).items.find(({ id }) => id === "fix[0]");
      const task = await server.client.query("task.get", { id: item?.task ?? "" });
      await page.goto(`${server.url}/tasks/${task.id}`);
      const transcript = page.getByRole("log", { name: "Transcript" });
      const said = (await server.client.query("session.transcript", { id: task.session ?? "", limit: 500 })).items;
      const last = said.findLast(({ kind }) => kind === "text")?.text.trim() ?? "";
      assert.ok(last.length > 20);
      const wordsOf = (text: string): string => text.replaceAll(/[^\p{L}\p{N}]+/gu, " ").trim();
      await until("the agent's last words", async () => wordsOf(await transcript.innerText()).includes(wordsOf(last).slice(-80)));
      const command = said.find(({ kind, name: tool }) => kind === "tool" && tool === "shell")?.text ?? "";
      assert.match(command, /node --test/);
      await transcript.getByText("node --test", { exact: false }).first().waitFor();

      await page.getByRole("tab", { name: /Diff/ }).click();
      const { diff } = await server.client.query("task.diff", { id: task.id });
      const added = diff.split("\n").find((line) => /^\+[^+]/.test(line)) ?? "";
      await page.getByText(added.slice(1).trim(), { exact: true }).waitFor();
      await page
        .getByText(task.result?.files[0]?.split("/").at(-1) ?? "-", { exact: false })
        .first()
        .waitFor();

      await page.goto(`${server.url}/inbox`);
      if (options === phone) await page.getByText("Add these lines to the CHANGELOG?").click();
      // The question, what it is about, and the answer, on one screen.
      await page.getByRole("heading", { name: "Add these lines to the CHANGELOG?" }).waitFor();
      await page.getByText(/I added \d+ lines to CHANGELOG.md/).waitFor();
      if (options === phone) await page.getByRole("button", { name: /Approve/ }).tap();
      else await page.keyboard.press("a");
      await page.getByText("All clear").waitFor();
      await until("the number in the title to go", async () => (await page.title()) === "Inbox · Tutti");

      const notes = await runOf(server, "release-notes");
      await page.goto(`${server.url}/runs/${notes.id}`);
      await page.locator(".head").getByText("done", { exact: true }).waitFor();
      assert.equal((await runOf(server, "release-notes")).state, "done");
      assert.match(git(`${server.home}/sample`, "show", "main:CHANGELOG.md"), /Unreleased\n\n- /);
      assert.deepEqual(complaints, []);
      await context.close();
    }));
}

test("a killed server: stale is said at once; when it is back, everything goes on without loss or doubles", () =>
  withTour(async (server, home) => {
    const { page, context, complaints } = await visit(browser);
    await enter(page, server, "/board?view=list");
    await page.getByText("draft", { exact: true }).waitFor();
    const { port } = new URL(server.url);
    process.kill(server.pid, "SIGKILL");
    await server.exited;
    await page.locator("[data-connection=stale]").waitFor();
    await page.getByText(/^Stale since/).waitFor();
    // What was there is still there, and nobody may take it for the present.
    await page.getByText("draft", { exact: true }).waitFor();

    const again = await startTutti({ home, args: ["--no-tour"], env: { TUTTI_PORT: port } });
    try {
      await page.locator("[data-connection=live]").waitFor();
      const [project] = (await again.client.query("project.list", { limit: 1 })).items;
      for (const number of [1, 2, 3])
        await again.client.command("task.create", { project: project?.id ?? "", prompt: `After the fall ${number}`, agent: "demo" });
      for (const number of [1, 2, 3]) await page.getByText(`After the fall ${number}`, { exact: true }).waitFor();
      const rows = await page.getByText(/^After the fall \d$/).count();
      assert.equal(rows, 3);
      await until(
        "them to end",
        async () =>
          (await page
            .getByText("After the fall")
            .locator("xpath=ancestor::*[@role='row']")
            .getByText("running", { exact: true })
            .count()) === 0,
      );
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
      await again.stop();
    }
  }));

suite("who is not let in", () => {
  let server: Tutti;
  let folder: ReturnType<typeof makeFolder>;
  before(async () => {
    folder = makeFolder();
    server = await startTutti({ home: folder.home });
  });
  after(async () => {
    await server.stop();
    folder.remove();
  });

  test("a link that was used: the second browser is told so, and how to get another", async () => {
    const { path } = await server.client.command("link.create", {});
    const first = await visit(browser);
    await first.page.goto(server.url + path);
    await first.page.locator("[data-connection=live]").waitFor();
    const second = await visit(browser);
    await second.page.goto(server.url + path);
    await second.page.getByText(/used already/).waitFor();
    await second.page.getByText("tutti open").waitFor();
    assert.equal(await second.page.locator("[data-connection]").count(), 0);
    await Promise.all([first.context.close(), second.context.close()]);
  });

  test("the cookie without the key of the origin's storage opens nothing", async () => {
    const { page, context } = await visit(browser);
    await enter(page, server);
    await page.evaluate("localStorage.clear()");
    const status = await page.evaluate(`fetch("/api/projects").then(({ status }) => status)`);
    assert.equal(status, 401);
    await page.reload();
    await page.getByText("This browser is not let in").waitFor();
    await context.close();
  });

  test("a page of another origin on this machine can neither read nor write, though the browser sends it the cookie", async () => {
    const { page, context } = await visit(browser);
    await enter(page, server);
    const key = await page.evaluate<string>(`localStorage.getItem("tutti.key")`);
    // Another origin: the same machine, another name, and so a foreign Origin header.
    const other = await context.newPage();
    await other.goto(`${server.url.replace("127.0.0.1", "localhost")}/inbox`);
    const script = (headers: string): string =>
      `fetch("${server.url}/api/commands/task.stop-all", { method: "POST", credentials: "include", headers: ${headers}, body: "{}" }).then(({ status }) => String(status), () => "refused")`;
    assert.equal(await other.evaluate(script("{}")), "refused");
    assert.equal(await other.evaluate(script(`{ "x-tutti-key": ${JSON.stringify(key)}, "content-type": "application/json" }`)), "refused");
    const audit = await server.client.query("audit.list", { limit: 50 });
    assert.ok(!audit.items.some(({ command }) => command === "task.stop-all"));
    await context.close();
  });
});
