import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { sql, statement, type Statement } from "../db/plan.ts";
import { makeClient, type Client } from "../entry/client.ts";
import type { AppError } from "../errors.ts";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { followSessionStream, getSessionQuery, listSessionsQuery, listTurnsQuery, readTranscript, sessionDiff } from "./commands.ts";
import type { TranscriptEntry } from "./session.ts";

const entries = [followSessionStream, getSessionQuery, listSessionsQuery, listTurnsQuery, readTranscript, sessionDiff] as const;

suite("sessions", () => {
  let server: TestServer;
  let client: Client<typeof entries>;
  before(async () => {
    server = await openServer({ entries });
    client = makeClient({ url: server.url, token: server.tokens.person, entries });
  });
  after(() => server.close());

  const write = async (...statements: Statement[]): Promise<void> => {
    const { kind } = await server.services.db.commit({ statements, events: [{ stream: "shop", type: "session.updated", data: {} }] });
    assert.equal(kind, "committed");
  };
  const makeSession = (id: string, at: number) =>
    write(
      statement(sql`
        insert into sessions (id, project, task, agent, state, branch, not_included, demo, created_at, updated_at)
        values (${id}, 'shop', ${`T-${id}`}, 'demo', 'running', 'b', '["a.txt"]', 0, ${at}, ${at})`),
    );
  const startTurn = (session: string, turn: number): Statement =>
    statement(
      sql`insert into turns (session, turn, attempt, state, prompt, started_at) values (${session}, ${turn}, 1, 'running', 'go', 1)`,
    );
  const entry = (turn: number, text: string): TranscriptEntry => ({ turn, at: 1, kind: "text", text });
  const lines = (turn: number, texts: string[]): string => texts.map((text) => JSON.stringify(entry(turn, text))).join("\n");
  const segment = (session: string, turn: number, part: number, ...texts: string[]): Statement =>
    statement(
      sql`insert into transcript_segments (session, turn, part, data) values (${session}, ${turn}, ${part}, ${lines(turn, texts)})`,
    );
  /** As the end of a turn does it: one artifact instead of the segments. */
  async function seal(session: string, turn: number): Promise<void> {
    const { db, artifacts } = server.services;
    const rows = await db.read.all<{ data: string }>(
      sql`select data from transcript_segments where session = ${session} and turn = ${turn} order by part`,
    );
    const { id } = await artifacts.put(`${rows.map(({ data }) => data).join("\n")}\n`);
    await write(
      statement(sql`update turns set transcript = ${id}, state = 'done', finished_at = 2 where session = ${session} and turn = ${turn}`),
      statement(sql`delete from transcript_segments where session = ${session} and turn = ${turn}`, rows.length),
    );
  }
  const end = (session: string): Promise<void> => write(statement(sql`update sessions set state = 'done' where id = ${session}`));

  async function readPages(session: string, limit: number): Promise<string[]> {
    const texts: string[] = [];
    let cursor: string | undefined;
    do {
      const part = await client.query("session.transcript", { id: session, limit, cursor });
      assert.ok(part.items.length <= limit);
      texts.push(...part.items.map(({ text }) => text));
      cursor = part.next ?? undefined;
    } while (cursor !== undefined);
    return texts;
  }

  test("sessions are listed newest first, by task and by project", async () => {
    await makeSession("S-10", 10);
    await makeSession("S-11", 11);
    const ids = async (filter: object) => (await client.query("session.list", filter)).items.map(({ id }) => id);
    assert.deepEqual(await ids({}), ["S-11", "S-10", "S-2", "S-1"]);
    assert.deepEqual(await ids({ task: "T-S-10" }), ["S-10"]);
    assert.deepEqual(await ids({ project: "other" }), []);
    const first = await client.query("session.list", { limit: 3 });
    assert.deepEqual(await ids({ limit: 3, cursor: first.next }), ["S-1"]);
    assert.deepEqual((await client.query("session.get", { id: "S-10" })).notIncluded, ["a.txt"]);
  });

  test("a transcript is whole and in order: sealed turns, open ones, and what came after the sealing", async () => {
    await makeSession("S-20", 20);
    await write(startTurn("S-20", 1), segment("S-20", 1, 1, "a", "b"), segment("S-20", 1, 2, "ü\nc"));
    await seal("S-20", 1);
    await write(segment("S-20", 1, 3, "check"));
    await write(startTurn("S-20", 2), segment("S-20", 2, 1, "d"), segment("S-20", 2, 2, "e", "f"));
    // A turn that was interrupted before its row was written still has its segments.
    await write(segment("S-20", 3, 1, "g"));
    const whole = ["a", "b", "ü\nc", "check", "d", "e", "f", "g"];
    for (const limit of [1, 2, 3, 8, 500]) assert.deepEqual(await readPages("S-20", limit), whole, `pages of ${limit}`);
    assert.deepEqual(
      (await client.query("session.turns", { id: "S-20" })).items.map(({ turn, state }) => [turn, state]),
      [
        [1, "done"],
        [2, "running"],
      ],
    );
  });

  test("a page goes on in its place when the turn was sealed between two pages", async () => {
    await makeSession("S-21", 21);
    await write(startTurn("S-21", 1), segment("S-21", 1, 1, "a", "b"), segment("S-21", 1, 2, "c"));
    const first = await client.query("session.transcript", { id: "S-21", limit: 2 });
    await seal("S-21", 1);
    const second = await client.query("session.transcript", { id: "S-21", limit: 2, cursor: first.next ?? "" });
    assert.deepEqual(
      [...first.items, ...second.items].map(({ text }) => text),
      ["a", "b", "c"],
    );
    for (const cursor of ["x", "1", "-1.0"]) {
      await assert.rejects(client.query("session.transcript", { id: "S-21", cursor }), (error: AppError) => error.code === "invalid_input");
    }
  });

  test("following brings every entry once, over sealing and a new connection, and ends with the session", async () => {
    await makeSession("S-22", 22);
    await write(startTurn("S-22", 1), segment("S-22", 1, 1, "a", "b"));
    const seen: string[] = [];
    const steps: Record<string, () => Promise<void>> = {
      b: () => write(segment("S-22", 1, 2, "c")),
      c: async () => {
        await write(segment("S-22", 1, 3, "d"));
        await seal("S-22", 1);
      },
      d: () => write(segment("S-22", 1, 4, "e"), startTurn("S-22", 2), segment("S-22", 2, 1, "f")),
      f: () => end("S-22"),
    };
    let after: string | null = null;
    const take = async (count: number): Promise<void> => {
      for await (const { id, event, data } of client.follow("session.follow", { id: "S-22" }, { after })) {
        if (event !== "entry") continue;
        after = id;
        seen.push(data.text);
        await steps[data.text]?.();
        count -= 1;
        if (count === 0) return;
      }
    };
    await take(1);
    await take(1);
    await take(Infinity);
    assert.deepEqual(seen, ["a", "b", "c", "d", "e", "f"]);
  });

  test("live text comes at once and is not stored", async () => {
    await makeSession("S-23", 23);
    const stop = new AbortController();
    const following = client.follow("session.follow", { id: "S-23" }, { signal: stop.signal });
    const first = following.next();
    // There is nobody to hear it before the stream stands.
    const timer = setInterval(() => server.services.bus.delta({ session: "S-23", turn: 1, kind: "text", text: "hel" }), 10);
    const { value } = await first;
    clearInterval(timer);
    assert.deepEqual(value && [value.event, value.id, value.data.text], ["delta", null, "hel"]);
    stop.abort();
    await following.return();
    assert.deepEqual(await readPages("S-23", 10), []);
  });

  test("a session without a commit has an empty diff; one that does not exist is not found", async () => {
    assert.deepEqual(await client.query("session.diff", { id: "S-20" }), { diff: "" });
    for (const name of ["session.get", "session.turns", "session.transcript", "session.diff"] as const) {
      await assert.rejects(client.query(name, { id: "S-99" }), (error: AppError) => error.code === "not_found", name);
    }
  });
});
