import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePersonToken, newAgentToken } from "../../src/access/grant.ts";
import { newToken } from "../../src/access/secret.ts";
import { insertToken } from "../../src/access/store.ts";
import type { Detection } from "../../src/agents/agent.ts";
import { openFileArtifacts } from "../../src/artifacts/files.ts";
import { openDb } from "../../src/db/open.ts";
import { mergePlans, sql, statement, type Plan } from "../../src/db/plan.ts";
import type { DoorLimits } from "../../src/config.ts";
import { serveHttp, type Mount, type HttpServer } from "../../src/entry/http.ts";
import type { Pages } from "../../src/entry/http/pages.ts";
import type { StreamLimits } from "../../src/entry/http/sse.ts";
import { makeBus } from "../../src/events/bus.ts";
import { openProcesses } from "../../src/processes/open.ts";
import { makeRegistry, type Entry } from "../../src/registry.ts";
import type { Services } from "../../src/services.ts";
import { openWorkspaces } from "../../src/workspaces/open.ts";

/** The door with everything behind it, in this process: a real store, real files, a real port. */
export interface TestServer extends HttpServer {
  services: Services;
  /** Tokens: a person's, one that was revoked, and those of the agents of sessions S-1 and S-2 of project `shop`. */
  tokens: { person: string; revoked: string; agent: string; otherAgent: string };
  /** What exists and belongs to the first of them, by noun. */
  things: { session: string; task: string };
  /** What the server logged as its own faults. */
  faults: object[];
  send(path: string, options?: SendOptions): Promise<Answer>;
}

interface SendOptions {
  method?: string;
  token?: string | null;
  headers?: Record<string, string>;
  body?: string;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

interface OpenOptions {
  entries: readonly Entry[];
  detection?: Detection;
  streams?: Partial<StreamLimits>;
  hosts?: string[];
  mounts?: readonly Mount[];
  pages?: Pages;
  limits?: DoorLimits;
  /** A PostgreSQL store instead of SQLite. */
  databaseUrl?: string;
}

export const readyDetection: Detection = { state: "ready", version: "1.0.0", path: "/usr/bin/true", message: null, fix: null };

export async function openServer({
  entries,
  detection = readyDetection,
  streams,
  hosts,
  mounts,
  pages,
  limits,
  databaseUrl,
}: OpenOptions): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "tutti-server-"));
  const home = join(folder, "home");
  mkdirSync(home, { mode: 0o700 });
  const path = process.env.PATH ?? "/usr/bin:/bin";
  const db = await openDb({ home, databaseUrl, crashAt: null });
  const bus = makeBus();
  db.onCommit((news) => bus.wake(news));
  const processes = await openProcesses({ tuttiHome: home, instance: "test", force: "group", path });
  const services: Services = {
    db,
    bus,
    processes,
    clock: { now: Date.now },
    artifacts: await openFileArtifacts(home),
    workspaces: await openWorkspaces({ home, path, sandbox: "none", now: Date.now, personHome: folder }),
    detect: async () => detection,
    version: "0.0.0-test",
    home,
  };
  const person = await ensurePersonToken(db, { home, now: Date.now() });
  const [own, other] = [newAgentToken("T-1", 1), newAgentToken("T-2", 1)];
  const gone = newToken();
  const revoked = insertToken(
    { id: gone.id, kind: "person", name: "gone", session: null, scopes: null, createdAt: 1, expiresAt: null, revokedAt: 2 },
    gone.hash,
  );
  if (!own || !other) throw new Error("two sessions were asked for");
  await db.commit(mergePlans(twoSessions(own.hash, other.hash), { statements: [revoked], events: [] }));
  const faults: object[] = [];
  const http = await serveHttp({
    registry: makeRegistry(entries),
    services,
    host: "127.0.0.1",
    port: 0,
    hosts,
    mounts,
    pages,
    streams,
    limits,
    graceMs: 2_000,
    log: { error: (fields) => void faults.push(fields) },
  });
  return {
    url: http.url,
    port: http.port,
    services,
    faults,
    things: { session: "S-1", task: "T-1" },
    tokens: { person, revoked: gone.text, agent: own.text, otherAgent: other.text },
    send: (address, options = {}) => send(http.port, address, { token: person, ...options }),
    async close() {
      await http.close();
      await processes.close();
      await db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Project `shop`, its task T-1 in session S-1, and another session with a task of its own. */
function twoSessions(own: string, other: string): Plan {
  const project = sql`insert into projects (id, name, source, base_branch, settings, created_at) values ('shop', 'shop', '/nowhere/shop', 'main', '{}', 1)`;
  const session = (id: string, at: number) => sql`
    insert into sessions (id, project, task, agent, state, branch, not_included, demo, created_at, updated_at)
    values (${id}, 'shop', 'T-1', 'demo', 'running', 'tutti/T-1', '[]', 1, ${at}, ${at})`;
  const task = (id: string, of: string) => sql`
    insert into tasks (id, project, kind, state, priority, attempt, needs_left, ready_at, agent, session, created_at, updated_at)
    values (${id}, 'shop', 'agent', 'running', 0, 1, 0, 0, 'demo', ${of}, 1, 1)`;
  const attempt = (id: string, of: string, hash: string) => sql`
    insert into attempts (task, attempt, state, agent, session, runner, runner_epoch, token_hashes, started_at)
    values (${id}, 1, 'running', 'demo', ${of}, 'runner-1', 1, ${hash}, 1)`;
  const spec = JSON.stringify({ kind: "agent", prompt: "go", agent: {}, includeDirty: false, env: {}, base: null });
  const details = sql`insert into task_details (task, title, spec, needs) values ('T-1', 'go', ${spec}, '[]')`;
  return {
    statements: [
      project,
      session("S-1", 1),
      session("S-2", 2),
      task("T-1", "S-1"),
      task("T-2", "S-2"),
      details,
      attempt("T-1", "S-1", own),
      attempt("T-2", "S-2", other),
    ].map((text) => statement(text)),
    events: [{ stream: "shop", type: "project.created", data: { id: "shop" } }],
  };
}

/** One request over a connection of its own, so that Host and every method can be said as an attacker would. */
export function send(port: number, path: string, { method = "GET", token = null, headers = {}, body }: SendOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const authorization: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
    const request = httpRequest({ host: "127.0.0.1", port, path, method, agent: false, headers: { ...authorization, ...headers } });
    let resolved = false;
    const done = (answer: Answer): void => {
      resolved = true;
      resolve(answer);
    };
    request.on("response", (response) => {
      const head = { status: response.statusCode ?? 0, headers: response.headers };
      // A stream has no end: its head is the answer.
      if (head.headers["content-type"]?.startsWith("text/event-stream")) {
        done({ ...head, text: "" });
        request.destroy();
        return;
      }
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => done({ ...head, text }));
    });
    const refused = (response: { statusCode?: number; headers: IncomingHttpHeaders }, socket: { destroy(): void }, first: Buffer): void => {
      done({ status: response.statusCode ?? 0, headers: response.headers, text: first.toString("utf8") });
      socket.destroy();
    };
    request.on("upgrade", refused);
    request.on("connect", refused);
    request.on("error", (error) => {
      if (!resolved) reject(error);
    });
    request.end(body);
  });
}
