import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { about, done, ended, onBothStores, stateOf, type TestStore } from "../../../test/support/stores.ts";
import { until } from "../../../test/support/tutti.ts";
import { sql, statement } from "../../db/plan.ts";
import { makeRunnerDoor } from "../../entry/runner.ts";
import { answerProblem } from "../../entry/http/answer.ts";
import { AppError, toAppError } from "../../errors.ts";
import { receiveOnce } from "../../orchestrators/receive-once.ts";
import type { Actor } from "../../registry.ts";
import { readOn, readingFrom } from "../../sessions/transcript.ts";
import { createTask } from "../../tasks/commands.ts";
import { makeConnections, type Connections } from "../connections.ts";
import type { RunnerLease } from "../lease.ts";
import type { Assignment, FromRunner, ToRunner } from "../message.ts";
import { remoteArtifacts } from "./artifacts.ts";
import { takeRemoteLease } from "./lease.ts";
import { openLine, type Line } from "./line.ts";
import { openRemoteLink } from "./link.ts";

/** Both ends of the way between a runner process and its servers, over real HTTP, with real stores behind it. */
const log = pino({ level: "silent" });
const open = new Set<{ close(): void | Promise<void> }>();

interface Door {
  url: string;
  connections: Connections;
  /** The paths that were asked, in order. */
  asked: string[];
  faults: object[];
  close(): Promise<void>;
}

/** A server's door for one runner: what http.ts does (who asks) is decided already. */
async function openDoor(store: TestStore, runner: string, before: (message: FromRunner) => void = () => {}): Promise<Door> {
  const connections = makeConnections();
  const { bus, artifacts, clock } = store.services;
  const [asked, faults]: [string[], object[]] = [[], []];
  const actor: Actor = { kind: "runner", token: "0123456789abcdef", name: runner, session: null, scopes: [] };
  const token = sql`
    insert into tokens (id, kind, name, hash, created_at) values (${actor.token}, 'runner', ${runner}, 'x', 1) on conflict (id) do nothing`;
  await store.write({ statements: [statement(token, "any")], events: [] });
  const door = makeRunnerDoor({
    db: store.db,
    artifacts,
    connections,
    url: () => url,
    async receive(message) {
      before(message);
      return await receiveOnce({ db: store.db, bus, artifacts, now: clock.now }, message);
    },
    log: { error: (fields) => void faults.push(fields) },
    heartbeatMs: 50,
  });
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    door.handle(request, response, actor).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else answerProblem(response, toAppError(error));
    });
  });
  const url = await listen(server);
  const close = async (): Promise<void> => {
    door.close();
    await end(server);
  };
  open.add({ close });
  return { url, connections, asked, faults, close };
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function end(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

function lineTo(...urls: string[]): Line {
  const line = openLine({ urls: async () => urls, token: "unused" });
  open.add(line);
  return line;
}

async function leaseBy(line: Line, home = "home-of-the-runner"): Promise<RunnerLease> {
  const lease = await takeRemoteLease({ line, home, capacity: null, leaseMs: 15_000 });
  open.add({ close: () => lease.stop() });
  return lease;
}

interface World {
  runner: string;
  door: Door;
  line: Line;
  lease: RunnerLease;
}

async function openWorld(store: TestStore): Promise<World> {
  const runner = store.fresh("runner");
  const door = await openDoor(store, runner);
  const line = lineTo(door.url);
  return { runner, door, line, lease: await leaseBy(line) };
}

const linkOf = (line: Line, lease: RunnerLease) => {
  const link = openRemoteLink({ line, lease, log });
  open.add(link);
  return link;
};

/** Tasks that were just given to a runner. */
async function given(store: TestStore, lease: RunnerLease, count = 1): Promise<Assignment[]> {
  const [project, agent] = [await store.project({ limit: 1000 }), await store.agent({ limit: 1000 })];
  for (let n = 0; n < count; n += 1) await store.call(createTask, { project, prompt: "go", agent });
  const assignments = await store.assign(project, lease);
  assert.equal(assignments.length, count);
  return assignments;
}

/** All that an attempt with one turn tells, numbered; 20 parts of a transcript. */
function wordsOf(assignment: Assignment, lease: RunnerLease): FromRunner[] {
  const entry = (text: string) => ({ turn: 1, at: 1, kind: "text" as const, text });
  const option = { id: "yes", label: "Allow", allows: true, lasting: false };
  const words = [
    { kind: "started" as const, base: "b", notIncluded: [] },
    { kind: "turn-started" as const, turn: 1, prompt: "go" },
    { kind: "vendor-session" as const, vendorSession: "v-1" },
    ...Array.from({ length: 20 }, (_, index) => ({
      kind: "transcript" as const,
      turn: 1,
      part: index + 1,
      entries: [entry(`part ${index + 1}\n`)],
    })),
    { kind: "permission" as const, permission: "p-1", tool: "write", action: { path: "x" }, options: [option] },
    { kind: "turn-ended" as const, turn: 1, outcome: { kind: "done" as const, output: "ok" }, usage: null, commit: null },
    { kind: "outcome" as const, outcome: done() },
  ];
  return words.map((word, index) => ({ ...about(assignment, lease), number: index + 1, ...word }));
}

const wholeText = Array.from({ length: 20 }, (_, index) => `part ${index + 1}\n`).join("");

async function textOf(store: TestStore, session: string): Promise<string> {
  const { artifacts } = store.services;
  return (
    await Array.fromAsync(readOn({ read: store.db.read, artifacts, session }, readingFrom({ turn: 0, index: 0 })), ({ text }) => text)
  ).join("");
}

async function countsOf(store: TestStore, task: string): Promise<Record<string, number>> {
  const rows = await store.rows(sql`select type, count(*) as count from events where task = ${task} group by type order by type`);
  const [approvals] = await store.rows(sql`select count(*) as count from approvals where task = ${task}`);
  return { ...Object.fromEntries(rows.map((row) => [String(row["type"]), Number(row["count"])])), approvals: Number(approvals?.["count"]) };
}

const everyEventOnce = {
  "approval.opened": 1,
  "task.assigned": 1,
  "task.created": 1,
  "task.settled": 1,
  "task.started": 1,
  "turn.settled": 1,
  "turn.started": 1,
  approvals: 1,
};

type Fault = "passed" | "request lost" | "answer lost" | "twice" | "again later";
const faults: Fault[] = ["passed", "request lost", "answer lost", "twice", "again later"];

/** Stands before a door and does to each telling what networks do, one fault after the other. Counts those that bit. */
async function openTrouble(door: Door): Promise<{ url: string; bit: Map<Fault, number>; late(): Promise<unknown> }> {
  const bit = new Map<Fault, number>();
  const late: Promise<unknown>[] = [];
  let count = 0;
  const server = createServer((request, response) => void pass(request, response).catch(() => response.destroy()));
  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await Array.fromAsync(request));
    const forward = () =>
      fetch(door.url + request.url, { method: "POST", body, headers: { "content-type": "application/json" } }).then(async (answer) => ({
        status: answer.status,
        text: await answer.text(),
      }));
    const fault = request.url === "/runner/tell" ? (faults[count++ % faults.length] ?? "passed") : "passed";
    bit.set(fault, (bit.get(fault) ?? 0) + 1);
    if (fault === "request lost") return void response.destroy();
    const [answer] = await Promise.all(fault === "twice" ? [forward(), forward()] : [forward()]);
    if (fault === "answer lost") return void response.destroy();
    // Behind everything that is told meanwhile.
    if (fault === "again later") late.push(new Promise((resolve) => setTimeout(resolve, 40)).then(forward));
    response.writeHead(answer?.status ?? 500, { "content-type": "application/json" });
    response.end(answer?.text);
  }
  const url = await listen(server);
  open.add({ close: () => end(server) });
  return { url, bit, late: () => Promise.all(late) };
}

onBothStores((define) => {
  /** Whatever a rule opened is closed behind it, and no runner of its own is left that work could be given to. */
  const rule: typeof define = (name, run) =>
    define(name, async (store) => {
      try {
        await run(store);
      } finally {
        for (const one of [...open].toReversed()) await one.close();
        open.clear();
        await store.write({ statements: [statement(sql`update runners set lease_until = 0`, "any")], events: [] });
      }
    });

  rule("what is told through a network that loses, doubles and delays it is written once and whole", async (store) => {
    const { door, lease } = await openWorld(store);
    const trouble = await openTrouble(door);
    const link = linkOf(lineTo(trouble.url), lease);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    for (const word of wordsOf(assignment, lease)) assert.equal(await link.tell(word), true, word.kind);
    await trouble.late();
    assert.ok(
      faults.every((fault) => (trouble.bit.get(fault) ?? 0) >= 4),
      JSON.stringify([...trouble.bit]),
    );
    assert.deepEqual(await countsOf(store, assignment.task), everyEventOnce);
    assert.equal(await textOf(store, assignment.session), wholeText);
    assert.equal((await store.task(assignment.task)).state, "done");
    assert.deepEqual(door.faults, []);
  });

  rule("each kind of message, told again at once and after everything, is accepted and changes nothing", async (store) => {
    const { door, lease } = await openWorld(store);
    const link = linkOf(lineTo(door.url), lease);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    const words = wordsOf(assignment, lease);
    for (const word of words) {
      assert.equal(await link.tell(word), true, word.kind);
      const before = await stateOf(store, assignment.task);
      assert.equal(await link.tell(word), true, `${word.kind} again`);
      assert.deepEqual(await stateOf(store, assignment.task), before, word.kind);
    }
    const after = await stateOf(store, assignment.task);
    for (const word of words.toReversed()) assert.equal(await link.tell(word), true, `${word.kind} at the end`);
    assert.deepEqual(await stateOf(store, assignment.task), after);
    assert.deepEqual(await countsOf(store, assignment.task), everyEventOnce);
    assert.equal(await textOf(store, assignment.session), wholeText);
  });

  rule("the control: without its number an outcome that is told again is refused", async (store) => {
    const { lease, door } = await openWorld(store);
    const link = linkOf(lineTo(door.url), lease);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    assert.equal(await link.tell(ended(assignment, lease, done())), true);
    assert.equal(await link.tell(ended(assignment, lease, done())), false);
  });

  rule("another outcome with a new number, after the attempt's end, is refused", async (store) => {
    const { lease, door } = await openWorld(store);
    const link = linkOf(lineTo(door.url), lease);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    assert.equal(await link.tell({ ...ended(assignment, lease, done()), number: 1 }), true);
    assert.equal(await link.tell({ ...ended(assignment, lease, done({ output: "other" })), number: 2 }), false);
  });

  rule("fifty outcomes travel in one request", async (store) => {
    const { lease, door } = await openWorld(store);
    const link = linkOf(lineTo(door.url), lease);
    const assignments = await given(store, lease, 51);
    const [first, ...others] = assignments;
    assert.ok(first);
    // While the first is under way the others gather.
    const answers = await Promise.all(
      [first, ...others].map((assignment) => link.tell({ ...ended(assignment, lease, done()), number: 1 })),
    );
    assert.ok(answers.every(Boolean));
    assert.equal(door.asked.filter((asked) => asked === "POST /runner/tell").length, 2);
    for (const { task } of assignments) assert.equal((await store.task(task)).state, "done");
  });

  rule("after a message that could not be written none of its attempt is looked at, and then all come in their order", async (store) => {
    const { runner, lease } = await openWorld(store);
    const [assignment, other] = await given(store, lease, 2);
    assert.ok(assignment && other);
    const taken: number[] = [];
    let failures = 2;
    const door = await openDoor(store, runner, (message) => {
      if (message.task !== assignment.task) return;
      if (message.number === 2 && (failures -= 1) >= 0) throw new AppError("busy", "the store is away");
      taken.push(message.number ?? 0);
    });
    const words = wordsOf(assignment, lease).slice(0, 5);
    const messages = [...words, { ...ended(other, lease, done()), number: 1 }];
    const answer = await lineTo(door.url).ask("/runner/tell", JSON.stringify({ messages }), { timeoutMs: 5_000 });
    const kinds = (answer as { answers: { kind: string }[] }).answers.map(({ kind }) => kind);
    assert.deepEqual(kinds, ["accepted", "failed", "later", "later", "later", "accepted"]);
    const link = linkOf(lineTo(door.url), lease);
    assert.ok((await Promise.all(words.map((word) => link.tell(word)))).every(Boolean));
    assert.deepEqual(taken, [1, 1, 2, 3, 4, 5]);
  });

  rule("what could not be told to one server is told to the next, in its order, and to one that came back elsewhere", async (store) => {
    const { runner, lease, door } = await openWorld(store);
    const urls = ["http://127.0.0.1:1", door.url];
    const line = openLine({ urls: async () => urls, token: "unused" });
    open.add(line);
    const link = linkOf(line, lease);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    const words = wordsOf(assignment, lease);
    assert.equal(await link.tell(words[0] as FromRunner), true);
    await door.close();
    const told = words.slice(1).map((word) => link.tell(word));
    const back = await openDoor(store, runner);
    urls.splice(0, 2, back.url);
    assert.ok((await Promise.all(told)).every(Boolean));
    assert.equal(await textOf(store, assignment.session), wholeText);
    assert.deepEqual(await countsOf(store, assignment.task), everyEventOnce);
  });

  rule("when the lease is lost, what waits to be told is answered as refused", async (store) => {
    const { lease, door } = await openWorld(store);
    const link = linkOf(lineTo("http://127.0.0.1:1"), lease);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    const told = link.tell({ ...ended(assignment, lease, done()), number: 1 });
    await leaseBy(lineTo(door.url)); // Another life of the same home.
    await lease.drain();
    assert.equal(lease.lost.aborted, true);
    assert.equal(await told, false);
    assert.equal(await link.tell({ ...ended(assignment, lease, done()), number: 1 }), false);
  });

  rule("messages to the runner come in their order, and go on at another server when the first one closes", async (store) => {
    const { runner, lease, door } = await openWorld(store);
    const other = await openDoor(store, runner);
    const link = linkOf(lineTo(door.url, other.url), lease);
    const heard: ToRunner[] = [];
    link.receive((message) => void heard.push(message));
    await until("the runner to listen", () => door.connections.find(runner));
    assert.deepEqual(
      door.connections.all().map(({ epoch }) => epoch),
      [lease.epoch],
    );
    for (const attempt of [1, 2, 3]) door.connections.send(runner, { kind: "cancel", task: "T-1", attempt });
    await until("three messages", () => heard.length === 3);
    await door.close();
    await until("the runner to listen elsewhere", () => other.connections.find(runner));
    other.connections.send(runner, { kind: "cancel", task: "T-1", attempt: 4 });
    await until("the fourth", () => heard.length === 4);
    assert.deepEqual(
      heard.map((message) => message.attempt),
      [1, 2, 3, 4],
    );
    const [row] = await store.rows(sql`select server from runners where id = ${runner}`);
    assert.equal(row?.["server"], other.url);
  });

  rule("a runner whose lease another life has is not spoken to", async (store) => {
    const { runner, lease, door, line } = await openWorld(store);
    const link = linkOf(line, lease);
    link.receive(() => {});
    await until("the runner to listen", () => door.connections.find(runner));
    const next = await leaseBy(lineTo(door.url));
    // By the server, long before the old life would find out by itself.
    await until("the old life to be cut", () => door.connections.find(runner) === null, 1_500);
    await assert.rejects(line.open({ method: "GET", path: `/runner/messages?epoch=${lease.epoch}`, timeoutMs: 1_000 }), {
      code: "conflict",
    });
    assert.equal(next.epoch, lease.epoch + 1);
  });

  rule("live text never waits: what is too much is dropped, and the rest comes when a server is there", async (store) => {
    const { runner, lease } = await openWorld(store);
    const urls: string[] = [];
    const line = openLine({ urls: async () => urls, token: "unused" });
    open.add(line);
    const link = linkOf(line, lease);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    const texts: string[] = [];
    const off = store.services.bus.onDelta(assignment.session, ({ text }) => void texts.push(text));
    for (let n = 0; n < 1_000; n += 1) {
      assert.equal(await link.tell({ kind: "delta", ...about(assignment, lease), turn: 1, of: "text", text: `${n}` }), true);
    }
    const told = link.tell({ ...ended(assignment, lease, done()), number: 1 });
    urls.push((await openDoor(store, runner)).url);
    assert.equal(await told, true);
    off();
    assert.ok(texts.length > 0 && texts.length <= 200, `${texts.length} came`);
    assert.equal(texts.at(-1), "999", "the oldest is dropped");
  });

  rule("a life has one epoch however often it is asked for; another home does not get the lease while it holds", async (store) => {
    const { door, line, lease } = await openWorld(store);
    const take = (life: string, home: string) =>
      line.ask("/runner/lease", JSON.stringify({ kind: "take", life, home, capacity: 3, leaseMs: 20_000 }), { timeoutMs: 5_000 });
    const one = (await take("a-life-of-its-own-1", "home-of-the-runner")) as { epoch: number; deadlineMs: number };
    assert.equal(one.deadlineMs, 12_000, "three fifths of the lease that it asked for");
    const [until] = await store.rows(sql`select lease_until - tutti_now() as ms from runners where id = ${lease.runner}`);
    assert.ok(Number(until?.["ms"]) > 15_000 && Number(until?.["ms"]) <= 20_000);
    assert.deepEqual(await take("a-life-of-its-own-1", "home-of-the-runner"), one);
    assert.equal(one.epoch, lease.epoch + 1);
    await assert.rejects(take("a-life-of-its-own-2", "another-home"), { code: "already_running" });
    await line.ask("/runner/lease", JSON.stringify({ kind: "give back", epoch: one.epoch }), { timeoutMs: 5_000 });
    assert.equal(((await take("a-life-of-its-own-3", "another-home")) as { epoch: number }).epoch, one.epoch + 1);
    const [row] = await store.rows(sql`select home, capacity from runners where id = ${lease.runner}`);
    assert.deepEqual([row?.["home"], Number(row?.["capacity"])], ["another-home", 3]);
    assert.deepEqual(door.faults, []);
  });

  rule("a runner speaks for its own attempts only", async (store) => {
    const { line, lease } = await openWorld(store);
    const [assignment] = await given(store, lease);
    assert.ok(assignment);
    const before = await stateOf(store, assignment.task);
    const foreign = await openDoor(store, store.fresh("runner"));
    const message = { ...ended(assignment, lease, done()), number: 1 };
    const tell = (to: Line) => to.ask("/runner/tell", JSON.stringify({ messages: [message] }), { timeoutMs: 5_000 });
    await assert.rejects(tell(lineTo(foreign.url)), { code: "forbidden" });
    assert.deepEqual(await stateOf(store, assignment.task), before);
    assert.deepEqual(await tell(line), { answers: [{ kind: "accepted" }] });
  });

  rule("artifacts are streamed both ways, in parts too", async (store) => {
    const { line } = await openWorld(store);
    const artifacts = remoteArtifacts(line);
    const chunk = Buffer.alloc(64 * 1024, "tutti ");
    async function* many() {
      for (let n = 0; n < 64; n += 1) yield chunk;
    }
    const { id, size } = await artifacts.put(many());
    assert.equal(size, 64 * chunk.length);
    const hash = createHash("sha256");
    for await (const part of artifacts.open(id)) hash.update(part);
    assert.equal(hash.digest("hex"), id);
    assert.equal(await artifacts.size(id), size);
    assert.equal(Buffer.concat(await Array.fromAsync(artifacts.open(id, 6, 11))).toString(), "tutti");
    assert.equal(await artifacts.text((await artifacts.put("a text")).id), "a text");
    assert.equal((await artifacts.put("")).size, 0);
    await assert.rejects(artifacts.size("0".repeat(64)), { code: "not_found" });
    await assert.rejects(artifacts.text("0".repeat(64)), { code: "not_found" });
    await assert.rejects(artifacts.text("../secret"), { code: "not_found" });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield chunk;
      throw new AppError("failed", "the command was cut off");
    }
    await assert.rejects(artifacts.put(broken()));
  });

  rule("what is nothing that a runner says is refused, and no server in a place is not one that refuses", async (store) => {
    const { line } = await openWorld(store);
    const ask = (path: string, text: string) => line.ask(path, text, { timeoutMs: 5_000 });
    for (const text of ['{"messages":[{"kind":"outcome"}]}', '{"messages":1}', "[]", "{"])
      await assert.rejects(ask("/runner/tell", text), { code: "invalid_input" });
    await assert.rejects(ask("/runner/lease", '{"kind":"take"}'), { code: "invalid_input" });
    await assert.rejects(ask("/runner/nothing", "{}"), { code: "method_not_allowed" });
    await assert.rejects(ask("/runner/tell/more", "{}"), { code: "not_found" });
    await assert.rejects(lineTo("http://127.0.0.1:1").ask("/runner/lease", "{}", { timeoutMs: 500 }), { code: "unreachable" });
    const stranger = createServer((_request, response) => void response.writeHead(404).end("<html>"));
    const url = await listen(stranger);
    await assert.rejects(lineTo(url).ask("/runner/lease", "{}", { timeoutMs: 500 }), { code: "unreachable" });
    await end(stranger);
    const silent = createServer(() => {});
    const quiet = await listen(silent);
    await assert.rejects(lineTo(quiet).ask("/runner/lease", "{}", { timeoutMs: 100 }), { code: "unreachable" });
    await end(silent);
  });
});
