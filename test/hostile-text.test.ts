import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { desktop, enter, openBrowser, phone, visit, type Watched } from "./support/browser.ts";
import { openBench, type Bench } from "./support/command-line.ts";
import { hostileStrings } from "./support/hostile-strings.ts";
import { makeHostileWorld, stringsOfQuestion, type HostileWorld } from "./support/hostile-world.ts";
import { strange } from "./support/strange.ts";
import { until } from "./support/tutti.ts";

/** What agents say and do is text wherever it is read: it runs nothing, loads nothing, hides nothing, steers nothing. */
let bench: Bench;
let world: HostileWorld;
before(async () => {
  assert.ok(hostileStrings.length >= 40);
  bench = await openBench();
  world = await makeHostileWorld(bench.tutti, bench.folder);
});
after(() => bench?.close());

const needles = hostileStrings.map(({ needle }) => needle);
const storable = hostileStrings.filter(({ text }) => !text.includes("\0"));

suite("in the dashboard", () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser?.close());

  /** A visitor who notices what a page does beside showing itself: windows, downloads, requests to elsewhere, its own complaints. */
  async function lookOut(options: BrowserContextOptions = desktop): Promise<Watched> {
    const watched = await visit(browser, options);
    const { page, context, complaints } = watched;
    page.on("dialog", (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("download", (download) => complaints.push(`download: ${download.url()}`));
    context.on("page", (other) => complaints.push(`window: ${other.url()}`));
    context.on("request", (request) => {
      if (new URL(request.url()).origin !== bench.tutti.url) complaints.push(`request: ${request.url()}`);
    });
    await enter(page, bench.tutti);
    return watched;
  }

  /** Opens a place, waits until all of `says` can be read in it, unfolds everything, and finds nothing that text has become. */
  async function inert(page: Page, path: string, says: string[], within = "main"): Promise<void> {
    await page.goto(bench.tutti.url + path);
    await page.locator("[data-connection=live]").waitFor();
    let missing: string[] = [];
    const read = async (): Promise<boolean> => {
      await page.evaluate(unfold);
      const text = await page.locator(within).first().innerText();
      missing = says.filter((words) => !text.includes(words));
      return missing.length === 0;
    };
    await until(`the text on ${path}`, read, 15_000).catch(() => assert.deepEqual(missing, [], `cannot be read on ${path}`));
    assert.deepEqual(await page.evaluate<string[]>(strange), [], path);
    assert.match(await page.title(), /^(?:\(\d+\) )?(?:Inbox|Fleet|Board|Runs|Agents|Projects) · Tutti$/, path);
  }

  /** Folds are opened: what nobody sees at first is part of the page. */
  const unfold = `for (const fold of document.querySelectorAll("details")) fold.open = true;
    for (const button of document.querySelectorAll("main button.call[aria-expanded=false]")) button.click();`;

  for (const [name, options] of Object.entries({ "a desktop": desktop, "a phone": phone })) {
    test(`on ${name} every page and tab shows what an agent said, and nothing of it has become more than text`, async () => {
      const { page, context, complaints } = await lookOut(options);
      const { said, failed, echo, flood, babbling, askingRun, failedRun, question, project } = world;
      const folder = "<img src=x onerror=pwned=1>";
      const transcript = "[role=log]";
      await inert(page, `/tasks/${said}`, needles, transcript);
      await inert(
        page,
        `/tasks/${echo}`,
        storable.map(({ needle }) => needle),
        transcript,
      );
      await inert(page, `/tasks/${babbling}`, needles.slice(0, 3), transcript);
      await inert(page, `/tasks/${flood}`, ["more characters that are not shown here", "[cut]"], transcript);
      await inert(page, `/tasks/${said}?tab=diff`, [
        "\\x1b",
        "\\u202e",
        "onerror=pwned=1>.js",
        "--upload-pack",
        "line\\nbreak.txt",
        "needle00z",
      ]);
      await inert(page, `/tasks/${flood}?tab=diff`, ["flood.txt"]);
      await inert(page, `/tasks/${said}?tab=checks`, [needles.at(-1) ?? ""]);
      await inert(page, `/tasks/${failed}?tab=checks`, [needles.at(-1) ?? ""]);
      for (const tab of ["cost", "events"]) await inert(page, `/tasks/${failed}?tab=${tab}`, [folder]);
      for (const [index, approval] of world.approvals.entries())
        await inert(
          page,
          `/inbox?item=${approval}`,
          stringsOfQuestion(index).map(({ needle }) => needle),
          "[aria-label='The chosen item']",
        );
      await inert(
        page,
        `/inbox?item=${question}`,
        storable.map(({ needle }) => needle),
        "[aria-label='The chosen item']",
      );
      for (const id of [said, failed, failedRun]) await inert(page, `/inbox?item=${id}`, [folder]);
      for (const [index, id] of world.asking.entries())
        for (const tab of ["transcript", "events"])
          await inert(page, `/tasks/${id}?tab=${tab}`, [stringsOfQuestion(index)[0]?.needle ?? "?"]);
      await inert(page, "/inbox", [folder]);
      await inert(page, "/fleet", [folder]);
      await inert(page, "/fleet?lens=table", ["needle00z", "needle39z"]);
      await inert(page, "/board", ["needle00z"]);
      await inert(page, "/board?view=list", ["needle00z", "needle39z"]);
      await inert(page, `/board?view=list&q=${encodeURIComponent("<script>")}`, ["needle00z"]);
      await inert(page, "/runs", ["hostile"]);
      for (const step of ["say", "shown"])
        await inert(
          page,
          `/runs/${askingRun}?step=${step}`,
          storable.map(({ needle }) => needle),
        );
      await inert(page, `/runs/${askingRun}?view=table`, ["shown"]);
      await inert(page, `/runs/${failedRun}`, [needles.at(-1) ?? ""]);
      await inert(page, "/agents?agent=hostile", ["hostile"]);
      await inert(page, `/projects?project=${project}`, [folder]);
      // An address is text of a stranger too.
      await inert(page, `/tasks/${encodeURIComponent("<img src=x onerror=pwned=1>")}`, ["img src=x"]);
      await inert(page, `/inbox?item=${encodeURIComponent("<script>pwned=1</script>")}&project=%1b%5d0;x%07`, ["Inbox"]);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test("each string as the prompt and title of a task is there to be read, and inert, on the task's page and in the palette", async () => {
    const { page, context, complaints } = await lookOut();
    assert.equal(world.prompts.length, storable.length);
    for (const [index, id] of world.prompts.entries()) await inert(page, `/tasks/${id}`, [storable[index]?.needle ?? "?"]);
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").fill("needle");
    await page
      .getByRole("option", { name: /needle\d\dz/ })
      .first()
      .waitFor();
    assert.deepEqual(await page.evaluate<string[]>(strange), []);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("what is written meanwhile is as inert as what was stored", async () => {
    const { page, context, complaints } = await lookOut();
    await page.goto(`${bench.tutti.url}/tasks/${world.babbling}`);
    const live = page.locator(".transcript__live");
    await live.waitFor();
    // Looked at again and again while it grows: a half-written attack is one too.
    for (const part of [1, 2, 3, 4]) {
      const before = (await live.innerText()).length;
      await until(`more of what is said, ${part}`, async () => (await live.innerText()).length !== before);
      assert.deepEqual(await page.evaluate<string[]>(strange), []);
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test("a page that took the text for HTML would be noticed", async () => {
    const { page, context, complaints } = await lookOut();
    await page.goto(`${bench.tutti.url}/runs`);
    await page.getByText("hostile").first().waitFor();
    for (const { text } of hostileStrings.filter((one) => /^<(img|script|svg|iframe|a|style|form|details)\b/.test(one.text))) {
      await page.evaluate(`{ const wrong = document.createElement("div"); wrong.id = "wrong"; document.querySelector("main").append(wrong);
        wrong.innerHTML = ${JSON.stringify(text)}; }`);
      assert.notDeepEqual(await page.evaluate<string[]>(strange), [], text);
      await page.evaluate(`document.getElementById("wrong").remove()`);
    }
    for (const text of ["a\u202eb", "a\u001b[2Jb", "zero\u200bwidth"]) {
      await page.evaluate(
        `{ const wrong = document.createElement("p"); wrong.id = "wrong"; wrong.textContent = ${JSON.stringify(text)}; document.querySelector("main").append(wrong); }`,
      );
      assert.equal((await page.evaluate<string[]>(strange)).length, 1, JSON.stringify(text));
      await page.evaluate(`document.getElementById("wrong").remove()`);
    }
    // The policy is the second wall: it reports what the first one let through.
    await until("a report of the policy", () => complaints.some((text) => text.startsWith("policy:")));
    await context.close();
  });
});

/** The colours and titles of our own; everything else that a terminal obeys is somebody else's. */
const ours = [
  // oxlint-disable-next-line no-control-regex
  /\u001b\[(?:1|2|22|31|32|33|36|39)m/g,
  // oxlint-disable-next-line no-control-regex
  /\u001b\[22;0t|\u001b\]0;(?:(?:◆ \d+ )?tutti [\w.-]*)?\u0007(?:\u001b\[23;0t)?/g,
];

// oxlint-disable-next-line no-control-regex
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;

/** What of an output a terminal would obey, or a person could not see. */
function obeyed(output: string): string[] {
  const rest = ours.reduce((text, own) => text.replaceAll(own, ""), output.replaceAll("\r\n", "\n"));
  const found = [...rest.matchAll(unseen)];
  return [...new Set(found.map(({ index }) => JSON.stringify(rest.slice(Math.max(0, index - 20), index + 20))))].slice(0, 5);
}

suite("in the command line", () => {
  const verbs = async (): Promise<string[][]> => {
    const { said, failed, echo, askingRun, failedRun, question, approvals, project, prompts } = world;
    const session = (await bench.tutti.client.query("task.get", { id: said })).session ?? "";
    return [
      ["status"],
      ["ls", "--wide", "--limit", "100"],
      ["ls", "runs", "--wide"],
      ["ls", "approvals"],
      ["ls", "sessions", "--wide"],
      ["projects", "--wide"],
      ["show", said],
      ["show", failed],
      ["show", echo],
      ["show", prompts[27] ?? ""],
      ["show", askingRun],
      ["show", failedRun],
      ["show", question],
      ...approvals.map((id) => ["show", id]),
      ["show", session],
      ["show", project],
      ["logs", said],
      ["attach", "--read-only", failed],
      ["events", "--limit", "500"],
      ["inbox", "list"],
      ["fleet", "sessions", "--limit", "100"],
      ["task", "get", said],
      ["task", "board"],
      ["session", "transcript", session, "--limit", "500"],
      ["session", "turns", session],
      ["runs", "steps", askingRun],
      ["approval", "list"],
    ];
  };

  test("no verb passes on what a terminal obeys or what cannot be seen, neither into a pipe nor to a terminal", async () => {
    const found: string[] = [];
    for (const words of await verbs()) {
      const [piped, shown] = await Promise.all([bench.call(words), bench.inTerminal(words, [])]);
      assert.equal(piped.code, 0, `${words.join(" ")}: ${piped.stderr}`);
      assert.equal(shown.code, 0, `${words.join(" ")}: ${shown.stdout}`);
      assert.ok(piped.stdout.length > 20 && shown.stdout.length > 20, words.join(" "));
      for (const [where, text] of Object.entries({ piped: piped.stdout + piped.stderr, shown: shown.stdout }))
        found.push(...obeyed(text).map((part) => `tutti ${words.join(" ")}, ${where}: ${part}`));
    }
    assert.deepEqual(found, []);
  });

  test("a machine that reads JSON gets every letter, as an escape where a terminal would obey it", async () => {
    const found: string[] = [];
    for (const words of [
      ["task", "get", world.said, "--json"],
      ["logs", world.said, "--json"],
      ["show", world.question, "--json"],
    ]) {
      const shown = await bench.inTerminal(words, []);
      found.push(...obeyed(shown.stdout).map((part) => `tutti ${words.join(" ")}: ${part}`));
    }
    const { question } = await bench.json<{ question: string }>(["show", world.question]);
    assert.equal(question, (await bench.tutti.client.query("approval.get", { id: world.question })).question);
    assert.deepEqual(found, []);
  });

  test("all that was said is there to be read", async () => {
    const missing = (text: string, wanted: { needle: string }[]): string[] =>
      wanted.map(({ needle }) => needle).filter((needle) => !text.includes(needle));
    assert.deepEqual(missing((await bench.expectCode(0, ["logs", world.said])).stdout, hostileStrings), []);
    assert.deepEqual(missing((await bench.expectCode(0, ["show", world.echo])).stdout, storable), []);
    for (const [index, id] of world.approvals.entries())
      assert.deepEqual(missing((await bench.expectCode(0, ["show", id])).stdout, stringsOfQuestion(index)), []);
  });

  test("a diff is whole: in a terminal with code points for what it would obey, in a pipe byte for byte", async () => {
    const { diff } = await bench.tutti.client.query("task.diff", { id: world.said });
    assert.equal((await bench.expectCode(0, ["diff", world.said])).stdout, diff);
    const { stdout } = await bench.inTerminal(["diff", world.said], []);
    assert.deepEqual(obeyed(stdout), []);
    for (const mark of ["<U+001B>", "<U+202E>", "<U+200B>", "<U+009B>", "<U+000D>"]) assert.ok(stdout.includes(mark), mark);
    assert.deepEqual(
      storable.filter(({ needle }) => !stdout.includes(needle)),
      [],
    );
  });

  test("what is followed on a terminal steers it no more than what was stored; the title is ours", async () => {
    for (const words of [
      ["logs", "-f", world.babbling],
      ["attach", "--read-only", world.babbling],
    ]) {
      const { stdout } = await bench.inTerminal(words, [[/needle3[0-9]z/, "\u0003"]]);
      assert.deepEqual(obeyed(stdout), [], words.join(" "));
      // oxlint-disable-next-line no-control-regex
      const titles = [...stdout.matchAll(/\]0;([^\u0007]*)/g)].map(([, title]) => title ?? "");
      assert.ok(titles.length > 0 && titles.every((title) => /^(?:(?:◆ \d+ )?tutti T-\d+)?$/.test(title)), JSON.stringify(titles));
    }
  });

  test("an output that was passed on as it is would be noticed", () => {
    for (const { text } of hostileStrings.slice(26, 44)) {
      if (/^rm -rf|^pаypal/.test(text)) continue;
      assert.notDeepEqual(obeyed(text), [], JSON.stringify(text));
    }
    assert.notDeepEqual(obeyed("rm -rf /\recho safe"), []);
    assert.deepEqual(obeyed("\u001b[31mfailed\u001b[39m\ttabs\r\nlines"), []);
  });
});

test("a no is a no, whatever the agent has called its answers; in the dashboard each yes is named as one", async () => {
  const { client } = bench.tutti;
  const asked = async (): Promise<{ task: string; approval: string }> => {
    const task = (await client.command("task.create", { project: world.project, prompt: "trick", agent: "asking" })).id;
    const approval = await until("the question", async () =>
      (await client.query("approval.list", { state: "open", limit: 100 })).items.find((one) => one.task === task),
    );
    return { task, approval: approval.id };
  };
  const output = (id: string) =>
    until(`${id} to end`, async () => {
      const { finishedAt, result } = await client.query("task.get", { id });
      return finishedAt !== null && { said: result?.output };
    });
  for (const words of ["no", "deny"]) {
    const { task, approval } = await asked();
    if (words === "no") await bench.expectCode(0, ["deny", approval]);
    else await client.command("approval.answer", { id: approval, answer: words });
    assert.deepEqual(await output(task), { said: "got refused" }, words);
  }
  const { task, approval } = await asked();
  const browser = await openBrowser();
  try {
    const { page } = await visit(browser);
    await enter(page, bench.tutti, `/inbox?item=${approval}`);
    const buttons = page.locator(".answer__act button");
    await buttons.first().waitFor();
    assert.match((await buttons.allInnerTexts()).join("|"), /^allow\b.*\|Reject/is);
    await buttons.nth(1).click();
    assert.deepEqual(await output(task), { said: "got refused" });
  } finally {
    await browser.close();
  }
});

suite("a NUL, which no database keeps", () => {
  test("is refused in what a person writes, and nothing is queued", async () => {
    const { client } = bench.tutti;
    const count = async () => (await client.query("task.list", { limit: 500 })).items.length;
    const before = await count();
    await assert.rejects(client.command("task.create", { project: world.project, prompt: "a\0b", agent: "echo" }), /NUL/);
    assert.equal(await count(), before);
  });

  test("in an agent's answer holds nothing up: the next step and the question get the rest of it", async () => {
    const { client } = bench.tutti;
    const source = `name: nul
steps:
  - id: say
    agent: hostile
    prompt: nul
  - id: again
    agent: echo
    prompt: "\${{ steps.say.output }}"
  - id: sure
    needs: [again]
    ask: { question: "\${{ steps.say.output }}?" }
`;
    const { id } = await client.command("run.create", { project: world.project, source });
    await until("the question", async () => (await client.query("run.get", { id })).state === "needs you", 20_000);
    const [asked] = (await client.query("approval.list", { run: id, limit: 10 })).items;
    assert.match(asked?.question ?? "", /^before.?behind\?$/u);
  });

  test("in the name of a tool keeps nobody from being asked", async () => {
    const { client } = bench.tutti;
    const { id } = await client.command("task.create", { project: world.project, prompt: "ask nul", agent: "asking" });
    await until("the question", async () => (await client.query("task.get", { id })).state === "needs you", 20_000);
  });
});
