import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readFlow } from "../../src/entry/cli/verbs/flow.ts";
import type { AgentSettings } from "../../src/agents/agent.ts";
import { startModelServer } from "./model-server/server.ts";
import { git, makeFolder, makeRepository, startTutti, until } from "./tutti.ts";

/**
 * The tour's first flow on a repository that nobody has seen: names and content are drawn here, and the scripted model server
 * decides what is written. Only if every part of the way is real does the content arrive on the person's branch.
 */
export async function runUnseen(agent: { backend: "model" | "acp"; settings: Partial<AgentSettings>; path?: string }): Promise<void> {
  const folder = makeFolder();
  const key = `sk-${randomBytes(16).toString("hex")}`;
  const models = await startModelServer([], { key });
  const word = (): string => `w${randomBytes(5).toString("hex")}`;
  const parts = [word(), word()].map((name) => ({
    name,
    file: `notes/${name}.txt`,
    test: `test/${name}.test.js`,
    content: `content ${randomBytes(12).toString("hex")}`,
  }));
  const summary = `summary ${randomBytes(8).toString("hex")}`;
  const repository = makeRepository(join(folder.path, "shop"), {
    "package.json": JSON.stringify({ name: word(), type: "module", scripts: { test: "node --test" } }),
    ...Object.fromEntries(
      parts.map(({ test, file, content }) => [
        test,
        `import assert from "node:assert";\nimport { readFileSync } from "node:fs";\nimport { test } from "node:test";\n` +
          `test("the note says it", () => assert.equal(readFileSync("${file}", "utf8").trim(), "${content}"));\n`,
      ]),
    ),
  });
  models.setRules([
    {
      match: "Plan how to repair",
      reply: JSON.stringify({ parts: parts.map(({ name, test, file }) => ({ title: `write ${name}`, test, files: [file] })) }),
    },
    ...parts.map(({ test, file, content }) => ({ match: `"test": "${test}"`, obey: `WRITE ${file}: ${content}` })),
    { match: "Summarise what was repaired", reply: summary },
  ]);
  const server = await startTutti({ home: folder.home, env: agent.path ? { PATH: agent.path } : {} });
  try {
    const { client } = server;
    await client.command("provider.set", { name: "scripted", baseUrl: `${models.url}/v1`, model: "mock-model", key });
    await client.command("agent.create", {
      name: "worker",
      backend: agent.backend,
      settings: { credentials: "key", provider: "scripted", env: {}, permissions: "auto", ...agent.settings },
    });
    const project = await client.command("project.create", { folder: repository });
    const flow = readFlow(fileURLToPath(new URL("../../examples/tour/fix-bugs.yaml", import.meta.url)));
    const { id } = await client.command("run.create", { project: project.id, ...flow, agents: { tour: "worker" } });
    const run = await until(
      "the run to end",
      async () => {
        const now = await client.query("run.get", { id });
        return now.finishedAt === null ? null : now;
      },
      240_000,
    );
    const steps = (await client.query("run.steps", { id, limit: 100 })).items;
    assert.equal(run.state, "done", JSON.stringify(steps, null, 1));
    for (const { file, content } of parts) assert.equal(git(repository, "show", `main:${file}`), content);
    assert.equal(git(repository, "log", "--merges", "--format=%H", "main").split("\n").length, 2);
    const told = await client.query("task.get", { id: steps.find((step) => step.id === "summary")?.task ?? "" });
    assert.equal(told.result?.output, summary);
    for (const step of steps.filter((each) => each.id.startsWith("fix["))) assert.equal(step.verified, true);
    // The key is the server's alone: the provider saw it, and no transcript has it.
    assert.ok(models.requests.some((request) => request.authorization === `Bearer ${key}`));
    for (const { id: session } of (await client.query("session.list", { limit: 100 })).items) {
      const transcript = await client.query("session.transcript", { id: session, limit: 500 });
      assert.ok(!JSON.stringify(transcript).includes(key));
    }
  } finally {
    await server.stop();
    await models.close();
    folder.remove();
  }
}
