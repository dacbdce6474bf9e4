import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { openDb } from "../src/db/open.ts";
import { sql, statement } from "../src/db/plan.ts";
import { startReceiver, type Receiver } from "./support/receiver.ts";
import { makeFolder, makeRepository, startTutti, until, type Tutti } from "./support/tutti.ts";
import { addAgent, addProject, give, shellAgent } from "./support/work.ts";

/** Notifications of a real server, from a task that fails to a receiver on this machine that the operator allowed. */
suite("notifications of a server", () => {
  const folder = makeFolder();
  let hook: Receiver;
  let tutti: Tutti;
  let project: string;
  let secret: string;

  const start = (allow = hook.host): Promise<Tutti> =>
    startTutti({ home: folder.home, env: { TUTTI_NOTIFY_ALLOW: allow, TUTTI_LOG: "debug" } });
  const sent = (id: string) =>
    until(`delivery ${id}`, async () => {
      const { items } = await tutti.client.query("delivery.list", { channel: "hook" });
      return items.find((delivery) => delivery.id === id && delivery.state === "sent");
    });

  before(async () => {
    hook = await startReceiver();
    tutti = await start();
    await addAgent(tutti, shellAgent);
    project = await addProject(tutti, makeRepository(join(folder.path, "repository"), { "a.txt": "a\n" }));
    const channel = await tutti.client.command("channel.set", {
      name: "hook",
      kind: "webhook",
      url: `http://${hook.host}/hook`,
      topics: ["failed", "done"],
    });
    secret = channel.secret ?? assert.fail("a secret was made");
  });
  after(async () => {
    await tutti?.stop();
    await hook.close();
    folder.remove();
  });

  test("a failed task reaches the receiver with a link to it, and no secret reaches the log", async () => {
    const { id } = await give(tutti, project, "echo planted''-output; exit 3");
    const [received] = await hook.got(1);
    assert.ok(!received?.body.includes("planted-output"));
    const { data } = JSON.parse(received?.body ?? "{}") as { data: Record<string, unknown> };
    assert.deepEqual([data["task"], data["project"], data["topic"], data["url"]], [id, project, "failed", `${tutti.url}/tasks/${id}`]);
    const delivery = await sent(String(received?.headers["webhook-id"]));
    assert.deepEqual([delivery.task, delivery.attempts], [id, 1]);
    assert.ok(!readFileSync(join(folder.home, "log", "server.log"), "utf8").includes(secret));
  });

  test("killed while it sends, the server sends the same notification once more after its restart, with the same id", async () => {
    // This one is taken and never answered: the server dies between claiming and settling.
    hook.answer(() => undefined);
    const { id } = await give(tutti, project, "echo b > b.txt");
    const [, claimed] = await hook.got(2);
    process.kill(tutti.pid, "SIGKILL");
    await tutti.exited;
    const db = await openDb({ home: folder.home, databaseUrl: undefined, crashAt: null });
    const row = await db.read.one<{ id: string; state: string; attempts: number }>(
      sql`select id, state, attempts from deliveries where state = 'queued'`,
    );
    assert.deepEqual([row?.id, row?.attempts], [claimed?.headers["webhook-id"], 1]);
    // As if the lease were over: nobody waits for it here.
    await db.commit({ statements: [statement(sql`update deliveries set next_at = 0 where state = 'queued'`)], events: [] });
    await db.close();
    hook.answer((response) => void response.writeHead(200).end());
    tutti = await start();
    const received = await hook.got(3);
    assert.equal(received[2]?.headers["webhook-id"], claimed?.headers["webhook-id"]);
    const delivery = await sent(row?.id ?? "?");
    assert.deepEqual([delivery.task, delivery.attempts], [id, 2]);
    assert.equal(hook.received.length, 3);
  });

  test("neither the server's own port nor a private host that is not named can be a channel; a wrong name stops the start", async () => {
    const port = new URL(tutti.url).port;
    await tutti.stop();
    tutti = await startTutti({ home: folder.home, env: { TUTTI_PORT: port, TUTTI_NOTIFY_ALLOW: `127.0.0.1:${port}, localhost:${port}` } });
    for (const url of [`${tutti.url}/api/commands/task.create`, `http://localhost:${port}/`, `http://${hook.host}/hook`])
      await assert.rejects(tutti.client.command("channel.set", { name: "own", kind: "webhook", url }), { code: "invalid_input" });
    await tutti.stop();
    await assert.rejects(start("http://x"), /TUTTI_NOTIFY_ALLOW has "http:\/\/x"/);
    tutti = await start();
  });
});
