import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import * as access from "../access/commands.ts";
import * as agents from "../agents/commands.ts";
import { sql, statement } from "../db/plan.ts";
import * as events from "../events/commands.ts";
import * as projects from "../projects/commands.ts";
import * as sessions from "../sessions/commands.ts";
import { openServer, type TestServer } from "../../test/support/server.ts";
import { startPostgres, type TestPostgres } from "../../test/support/postgres.ts";
import { makeClient } from "./client.ts";

const entries = [
  access.createToken,
  access.revokeTokenCommand,
  access.listTokensQuery,
  access.listAuditQuery,
  agents.createAgent,
  agents.updateAgent,
  agents.removeAgent,
  agents.listAgentsQuery,
  events.listEventsQuery,
  events.followEventsStream,
  projects.listProjectsQuery,
  projects.updateProject,
  sessions.listSessionsQuery,
  sessions.listTurnsQuery,
  sessions.readTranscript,
] as const;

suite("the same statements on both databases", () => {
  let postgres: TestPostgres;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  /** Everything that these nouns write and read, with what differs from run to run left out. */
  async function story(server: TestServer): Promise<unknown[]> {
    const client = makeClient({ url: server.url, token: server.tokens.person, entries });
    const { id } = await client.command("token.create", { name: "script" });
    const revoked = await client.command("token.revoke", { id });
    for (const name of ["b", "a", "c"]) await client.command("agent.create", { name, backend: "acp", settings: { preset: "goose" } });
    await client.command("agent.update", { name: "a", role: "writer", limit: 2 });
    await client.command("agent.remove", { name: "c" });
    await client.command("project.update", { id: "shop", settings: { setup: "npm ci" } });
    const written = await server.services.db.commit({
      statements: [
        statement(sql`insert into turns (session, turn, attempt, state, prompt, started_at) values ('S-1', 1, 1, 'running', 'go', 1)`),
        statement(sql`insert into transcript_segments (session, turn, part, data)
          values ('S-1', 1, 1, ${JSON.stringify({ turn: 1, at: 1, kind: "text", text: "ü" })})`),
        statement(sql`
          insert into tasks (id, project, kind, state, priority, attempt, needs_left, ready_at, agent, created_at, updated_at)
          values ('T-9', 'shop', 'agent', 'running', 0, 1, 0, 0, 'a', 0, 0)`),
      ],
      events: [{ stream: "shop", type: "task.created", task: "T-1", run: "R-1", data: { a: 1 } }],
    });
    assert.equal(written.kind, "committed");
    const place = ({ stream, seq, type }: { stream: string; seq: number; type: string }): string => `${stream} ${seq} ${type}`;
    const first = await client.query("session.list", { limit: 1 });
    const stop = new AbortController();
    const followed: string[] = [];
    for await (const { data } of client.follow("event.follow", { stream: "shop", from: "start" }, { signal: stop.signal })) {
      followed.push(place(data));
      if (followed.length === 3) stop.abort();
    }
    return [
      typeof revoked.revokedAt,
      (await client.query("token.list", { kind: "all", limit: 500 })).items.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b)),
      (await client.query("audit.list", { limit: 500 })).items.length,
      (await client.query("agent.list", {})).items,
      (await client.query("project.list", {})).items.map(({ lastActivityAt: _, ...project }) => project),
      first.items.map((session) => session.id),
      (await client.query("session.list", { project: "shop", task: "T-1", cursor: first.next ?? "" })).items,
      (await client.query("session.turns", { id: "S-1" })).items,
      (await client.query("session.transcript", { id: "S-1" })).items,
      (await client.query("event.list", { stream: "shop", after: 1 })).items.map(place),
      (await client.query("event.list", { task: "T-1", run: "R-1" })).items.map(place),
      followed,
    ];
  }

  test("what is written and read through these entries is the same on SQLite and PostgreSQL", async () => {
    const tell = async (databaseUrl?: string): Promise<unknown[]> => {
      const server = await openServer({ entries, databaseUrl });
      try {
        return await story(server);
      } finally {
        await server.close();
      }
    };
    const onSqlite = await tell();
    assert.deepEqual(await tell(await postgres.freshDatabase()), onSqlite);
    assert.equal(JSON.stringify(onSqlite[3]).includes('"active":1'), true);
  });
});
