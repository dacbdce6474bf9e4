import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AppError } from "../src/errors.ts";
import { makeFolder, makeRepository, spawnTutti, startTutti, type Tutti } from "./support/tutti.ts";

/** Bad input gets one clear error (what, why, what to do) and changes nothing. */
const folder = makeFolder();
let server: Tutti;
before(async () => {
  server = await startTutti({ home: folder.home });
});
after(async () => {
  await server.stop();
  folder.remove();
});

const refusal = async (attempt: Promise<unknown>): Promise<AppError> => {
  const error = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AppError, "it was not refused");
  return error;
};

test("a folder that is missing, no folder, not git, or without a commit is refused with what to do", async () => {
  const empty = join(folder.path, "empty");
  const file = join(folder.path, "file");
  mkdirSync(empty);
  writeFileSync(file, "");
  for (const wrong of [join(folder.path, "missing"), file, empty]) {
    const error = await refusal(server.client.command("project.create", { folder: wrong }));
    assert.equal(error.code, "invalid_input", wrong);
    assert.ok(error.message.includes(wrong), error.message);
    assert.ok(error.why || error.fix.length > 0);
  }
  assert.deepEqual((await server.client.query("project.list", {})).items, []);
});

test("a flow with mistakes is refused with each of them in its place, and no run is made", async () => {
  const { id: project } = await server.client.command("project.create", {
    folder: makeRepository(join(folder.path, "repo"), { "a.txt": "a\n" }),
  });
  const create = (source: string) => refusal(server.client.command("run.create", { project, source, file: "f.yaml" }));
  const malformed = await create("name: x\nsteps: [\n");
  assert.match(malformed.why ?? "", /f\.yaml:\d+:\d+/);
  const cycle = await create("name: x\nsteps:\n  - { id: a, needs: b, run: 'true' }\n  - { id: b, needs: a, run: 'true' }\n");
  assert.match(cycle.why ?? "", /a -> b -> a|b -> a -> b/);
  const unknown = await create("name: x\nsteps:\n  - { id: a, needs: zz, run: 'true' }\n");
  assert.match(unknown.why ?? "", /zz/);
  const agent = await create("name: x\nsteps:\n  - { id: a, agent: nobody, prompt: hello }\n");
  assert.equal(agent.code, "not_found");
  assert.match(`${agent.message} ${agent.why}`, /nobody.*f\.yaml:3/s);
  assert.deepEqual((await server.client.query("run.list", {})).items, []);
});

test("unknown agents and projects, and inputs of another shape, are refused by name", async () => {
  const none = await refusal(server.client.command("task.create", { project: "nowhere", prompt: "x" }));
  assert.equal(none.code, "not_found");
  assert.match(none.message, /nowhere/);
  const [project] = (await server.client.query("project.list", {})).items;
  const agent = await refusal(server.client.command("task.create", { project: project?.id ?? "", prompt: "x", agent: "nobody" }));
  assert.match(agent.message, /nobody/);
  assert.match(agent.fix.join(), /demo/);
  const shape = await refusal(server.client.command("task.create", { project: project?.id ?? "", prompt: "" }));
  assert.equal(shape.code, "invalid_input");
  assert.match(shape.message, /prompt/);
  assert.deepEqual((await server.client.query("task.list", {})).items, []);
});

test("a second server on the same home names the holder and ends", async () => {
  const second = spawnTutti({ home: folder.home });
  assert.equal(await second.exited, 9);
  assert.match(second.output(), new RegExp(`process ${server.pid}`));
  assert.ok(second.output().includes(server.url));
});

test("a port that is taken leads to the next one, unless it was asked for", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as { port: number };
  const taken = spawnTutti({ home: join(folder.path, "other", "home"), env: { TUTTI_PORT: String(port) } });
  assert.notEqual(await taken.exited, 0);
  assert.match(taken.output(), new RegExp(String(port)));
  other.close();
});

test("an environment variable that cannot be used is named", async () => {
  const wrong = spawnTutti({ home: join(folder.path, "third", "home"), env: { TUTTI_PORT: "http" } });
  assert.equal(await wrong.exited, 2);
  assert.match(wrong.output(), /TUTTI_PORT/);
});
