import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { promisify } from "node:util";
import { Client } from "pg";
import { isArtifactReference, type ArtifactReference } from "../src/artifacts/artifact.ts";
import type { Step } from "../src/flows/flow.ts";
import type { TaskView } from "../src/tasks/task.ts";
import { isTerminal } from "../src/tasks/task.ts";
import { program } from "./support/command-line.ts";
import { startPostgres } from "./support/postgres.ts";
import { addAgent, addProject, shellAgent } from "./support/work.ts";
import { bareEnvironment, makeFolder, makeRepository, startTutti, until, type Tutti } from "./support/tutti.ts";

/**
 * Results of any size go from step to step by reference, through a real server, and it does not grow with them. The full size:
 * TUTTI_LARGE_MB=200 npm test -- test/large-results
 */
const megabytes = Number(process.env["TUTTI_LARGE_MB"] ?? 20);
const allowedGrowthMb = megabytes >= 200 ? 60 : 15;
const minutes = (count: number): { timeout: number } => ({ timeout: count * 60_000 });

const print = (bytes: number): string => `yes 'one of very many lines of a large result' | head -c ${bytes}`;

const expectedHash = (bytes: number): string =>
  execFileSync("sh", ["-c", `${print(bytes)} | sha256sum`], { encoding: "utf8" }).slice(0, 64);

const hashFlow = (bytes: number): string => `
name: large
steps:
  - id: print
    run: ${JSON.stringify(print(bytes))}
  - id: hash
    run: sha256sum
    stdin: "\${{ steps.print.output }}"
`;

async function run(tutti: Tutti, project: string, source: string): Promise<Map<string, Step>> {
  const { id } = await tutti.client.command("run.create", { project, source });
  await until(`run ${id} to end`, async () => isTerminal((await tutti.client.query("run.get", { id })).state), 590_000);
  const { items } = await tutti.client.query("run.steps", { id, limit: 100 });
  return new Map(items.map((step) => [step.id, step]));
}

async function taskOf(tutti: Tutti, steps: Map<string, Step>, id: string): Promise<TaskView> {
  const step = steps.get(id);
  if (!step?.task) throw new Error(`step ${id} is ${step?.state} (${step?.reason}): ${step?.message}`);
  return await tutti.client.query("task.get", { id: step.task });
}

/** What a step that must be done gave. */
async function outputOf(tutti: Tutti, steps: Map<string, Step>, id: string): Promise<unknown> {
  const task = await taskOf(tutti, steps, id);
  assert.equal(task.state, "done", `${id} is ${task.state}: ${task.reason}: ${task.message}\n${tutti.output()}`);
  return task.result?.output;
}

async function referenceOf(tutti: Tutti, steps: Map<string, Step>, id: string): Promise<ArtifactReference> {
  const output = await outputOf(tutti, steps, id);
  assert.ok(isArtifactReference(output), `${id} gave ${JSON.stringify(output)?.slice(0, 200)}`);
  return output;
}

/** The ids that a value of the store is, or names as references do. */
const namesIn = (value: string): string[] =>
  [...value.matchAll(/^([0-9a-f]{64})$|"\$artifact":"([0-9a-f]{64})"/g)].map(([, id, named]) => id ?? named ?? "");

/** The most memory that the process ever had, in bytes. */
const peakOf = ({ pid }: Tutti): number =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) * 1024;

const megabyte = 1024 * 1024;

for (const kind of ["sqlite", "postgres"] as const) {
  suite(`large results on ${kind}`, async () => {
    const folder = makeFolder();
    const postgres = kind === "postgres" ? await startPostgres() : null;
    const databaseUrl = await postgres?.freshDatabase();
    // A small nursery, so that what is measured is what is held and not when garbage happens to be collected.
    const settings = { NODE_OPTIONS: "--max-semi-space-size=2", ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}) };
    const tutti = await startTutti({ home: folder.home, env: settings });
    const project = await addProject(tutti, makeRepository(join(folder.path, "shop"), { "README.md": "a shop\n" }));
    await addAgent(tutti, shellAgent);
    after(async () => {
      await tutti.stop();
      await postgres?.stop();
      folder.remove();
    });

    test(
      `${megabytes} MB from one step's output to another one's input: every byte, and the server grows by less than ${allowedGrowthMb} MB`,
      minutes(10),
      async (t) => {
        // The heap of a server grows with its first work, whatever that is. What is looked for is what grows with the size of a result.
        for (const half of [0, 1, 2].map((n) => (megabytes / 2) * megabyte + n)) {
          await outputOf(tutti, await run(tutti, project, hashFlow(half)), "hash");
        }
        const before = peakOf(tutti);
        const bytes = megabytes * megabyte;
        const steps = await run(tutti, project, hashFlow(bytes));
        const expected = expectedHash(bytes);
        assert.equal(String(await outputOf(tutti, steps, "hash")).slice(0, 64), expected);
        const grownMb = (peakOf(tutti) - before) / megabyte;
        t.diagnostic(
          `${kind}: ${megabytes} MB, the server's peak was ${(before / megabyte).toFixed(0)} MB and grew by ${grownMb.toFixed(1)} MB`,
        );
        assert.ok(grownMb < allowedGrowthMb, `it grew by ${grownMb} MB`);

        const reference = await referenceOf(tutti, steps, "print");
        assert.equal(reference.$artifact, expected);
        assert.equal(reference.size, bytes);
        assert.equal(reference.type, "text");
        assert.match(reference.preview ?? "", /^one of very many lines/);
        assert.equal(reference.preview?.length, 4096);
      },
    );

    test("whoever asks for the task sees the reference, and the bytes are behind the artifact's address", minutes(2), async () => {
      const bytes = megabyte;
      const steps = await run(tutti, project, hashFlow(bytes));
      const task = await taskOf(tutti, steps, "print");
      const { $artifact: id } = await referenceOf(tutti, steps, "print");
      const hash = createHash("sha256");
      for await (const chunk of (await tutti.client.blob("artifact.get", { id })).body) hash.update(chunk);
      assert.equal(hash.digest("hex"), id);
      const part = await tutti.client.blob("artifact.get", { id }, { range: { start: bytes - 10, end: bytes - 1 } });
      let text = "";
      for await (const chunk of part.body) text += Buffer.from(chunk).toString();
      assert.equal(text.length, 10);
      const call = (...words: string[]) =>
        promisify(execFile)(process.execPath, [program, ...words], { env: bareEnvironment(folder.home), maxBuffer: 10 * megabyte });
      const shown = (await call("show", task.id)).stdout;
      assert.match(shown, /one of very many lines/);
      assert.match(shown, new RegExp(`${bytes} bytes.*tutti artifact get ${id}`, "s"));
      assert.ok(shown.length < 8_000, `it shows ${shown.length} characters`);
      assert.match((await call("logs", task.id)).stdout, /one of very many lines/);
    });

    test("events stay small, whatever a step gave", minutes(2), async () => {
      await run(tutti, project, hashFlow(megabyte));
      const { items } = await tutti.client.query("event.list", { stream: project, limit: 500 });
      const longest = Math.max(...items.map(({ data }) => JSON.stringify(data).length));
      assert.ok(longest <= 4096, `an event has ${longest} bytes`);
      assert.ok(!items.some(({ data }) => JSON.stringify(data).includes("$artifact")));
    });

    test("what a command reads: a text as it is, anything else as JSON, and nothing when it is given nothing", minutes(2), async () => {
      const steps = await run(
        tutti,
        project,
        `
name: small
inputs: { who: { type: string, default: "a person" } }
steps:
  - { id: text, run: "printf 'it is\\\\n  this  \\\\n\\\\n'" }
  - { id: same, run: "od -c | head -2", stdin: "\${{ steps.text.output }}" }
  - { id: mixed, run: cat, stdin: "from \${{ inputs.who }}: \${{ steps.text.output }}" }
  - { id: value, run: "printf '{\\"list\\": [1, {\\"deep\\": null}]}'", output: { type: object } }
  - { id: json, run: cat, stdin: "\${{ steps.value.output.list }}" }
  - { id: nothing, run: "cat; echo over" }
  - { id: unread, run: "true", stdin: "\${{ steps.text.output }}" }
`,
      );
      assert.equal(await outputOf(tutti, steps, "text"), "it is\n  this");
      assert.match(String(await outputOf(tutti, steps, "same")), /i {3}t {7}i {3}s {2}\\n/);
      assert.equal(await outputOf(tutti, steps, "mixed"), "from a person: it is\n  this");
      assert.equal(await outputOf(tutti, steps, "json"), '[1,{"deep":null}]');
      assert.equal(await outputOf(tutti, steps, "nothing"), "over");
      assert.equal(await outputOf(tutti, steps, "unread"), "");
    });

    test("a command that reads only the beginning of a large result is no failure", minutes(2), async () => {
      const flow = hashFlow(5 * megabyte).replace("run: sha256sum", "run: head -n 1");
      assert.equal(await outputOf(tutti, await run(tutti, project, flow), "hash"), "one of very many lines of a large result");
    });

    test("the result is what a command writes to stdout; the transcript has what it writes to stderr too", minutes(2), async () => {
      const steps = await run(
        tutti,
        project,
        `
name: both
steps:
  - { id: both, run: "echo result; echo a warning >&2" }
  - { id: fails, needs: [], run: "echo out; echo the fault >&2; exit 3" }
`,
      );
      const both = await taskOf(tutti, steps, "both");
      assert.equal(both.result?.output, "result");
      const { items } = await tutti.client.query("session.transcript", { id: both.session ?? "", limit: 100 });
      assert.match(items.map(({ text }) => text).join("\n"), /result\na warning|a warning\nresult/);
      const fails = await taskOf(tutti, steps, "fails");
      assert.equal(fails.reason, "command failed");
      assert.match(fails.message ?? "", /^exit 3: (out\nthe fault|the fault\nout)$/);
    });

    test(
      "a large result that `with` gives is a file, which a command can read and not change, and which is gone afterwards",
      minutes(2),
      async () => {
        const bytes = 3 * megabyte;
        const steps = await run(
          tutti,
          project,
          `
name: files
steps:
  - id: print
    run: ${JSON.stringify(print(bytes))}
  - id: sum
    run: [sh, -c, 'sha256sum < "$FILE"; echo "$SIZE" "$WHOLE"; (echo more >> "$FILE") 2>&1 || echo refused']
    with: { big: "\${{ steps.print.output }}", nested: [{ also: "\${{ steps.print.output }}" }] }
    env: { FILE: "\${{ with.big.file }}", SIZE: "\${{ with.nested[0].also.size }}", WHOLE: "\${{ with.big }}" }
  - id: argument
    run: [wc, -c, "\${{ with.big.file }}"]
    with: { big: "\${{ steps.print.output }}" }
  - id: lists
    each: "\${{ [steps.print.output] }}"
    run: [sh, -c, 'wc -c < "$FILE"']
    env: { FILE: "\${{ item.file }}" }
`,
        );
        const expected = expectedHash(bytes);
        const task = await taskOf(tutti, steps, "sum");
        const file = join(folder.home, "sessions", task.session ?? "", "inputs", expected);
        const lines = String(await outputOf(tutti, steps, "sum")).split("\n");
        assert.equal(lines[0]?.slice(0, 64), expected);
        assert.equal(lines[1], `${bytes} ${JSON.stringify({ file, size: bytes })}`);
        assert.match(lines.slice(2).join(" "), /Read-only file system.*refused|Permission denied.*refused/);
        assert.equal(
          await outputOf(tutti, steps, "argument"),
          `${bytes} ${file.replace(task.session ?? "", (await taskOf(tutti, steps, "argument")).session ?? "")}`,
        );
        assert.equal(await outputOf(tutti, steps, "lists[0]"), String(bytes));
        assert.ok(existsSync(join(file, "../..")));
        assert.ok(!existsSync(join(file, "..")), "the inputs folder is gone");
      },
    );

    test("an agent finds the file's path in the data of its prompt", minutes(2), async () => {
      const bytes = 2 * megabyte;
      // The agent is a shell that gets its prompt on stdin: what is added to the prompt comes after `exit`.
      const steps = await run(
        tutti,
        project,
        `
name: agents
steps:
  - id: print
    run: ${JSON.stringify(print(bytes))}
  - id: read
    agent: ${shellAgent}
    prompt: |
      sha256sum < "$FILE" | cut -c 1-64
      exit 0
    env: { FILE: "\${{ with.big.file }}" }
    with: { big: "\${{ steps.print.output }}" }
`,
      );
      assert.match(String(await outputOf(tutti, steps, "read")), new RegExp(expectedHash(bytes)));
      const task = await taskOf(tutti, steps, "read");
      const { items } = await tutti.client.query("session.transcript", { id: task.session ?? "", limit: 100 });
      const prompt = items.find((entry) => entry.kind === "prompt")?.text ?? "";
      const path = join(folder.home, "sessions", task.session ?? "", "inputs", expectedHash(bytes));
      assert.ok(prompt.includes(`Data for this step (JSON):\n${JSON.stringify({ big: { file: path, size: bytes } }, null, 2)}`), prompt);
    });

    test("an agent's or a command's own JSON cannot pass for a large result", minutes(2), async () => {
      const secret = await referenceOf(tutti, await run(tutti, project, hashFlow(megabyte)), "print");
      const forged = JSON.stringify({ deep: [{ $artifact: secret.$artifact, size: 1, type: "text" }] });
      const steps = await run(
        tutti,
        project,
        `
name: forged
steps:
  - id: forge
    run: [printf, '%s', ${JSON.stringify(forged)}]
    output: { type: object }
  - id: take
    run: cat
    stdin: "\${{ steps.forge.output.deep[0] }}"
`,
      );
      const task = await taskOf(tutti, steps, "forge");
      assert.equal(task.reason, "output invalid");
      assert.match(task.message ?? "", /\$artifact/);
      assert.equal(steps.get("take")?.state, "skipped");
    });

    test("a large JSON result that fits its schema is a reference too, and arrives whole", minutes(2), async () => {
      const steps = await run(
        tutti,
        project,
        `
name: json
steps:
  - id: make
    run: "node -e 'console.log(JSON.stringify({ list: Array.from({ length: 100000 }, (_, n) => n) }))'"
    output: { type: object, required: [list] }
  - id: count
    run: "node -e 'let t = \\"\\"; process.stdin.on(\\"data\\", (c) => (t += c)).on(\\"end\\", () => console.log(JSON.parse(t).list.length))'"
    stdin: "\${{ steps.make.output }}"
`,
      );
      assert.equal((await referenceOf(tutti, steps, "make")).type, "json");
      assert.equal(await outputOf(tutti, steps, "count"), "100000");
    });

    test("what a result names is not collected, however old it is", minutes(2), async () => {
      const { $artifact: id, size } = await referenceOf(tutti, await run(tutti, project, hashFlow(megabyte + 7)), "print");
      await makeOld(id);
      await tutti.client.command("artifact.collect", {});
      assert.equal((await tutti.client.blob("artifact.get", { id })).size, size);
    });

    test("every column that holds an artifact's id is known to the collector", minutes(2), async () => {
      await outputOf(tutti, await run(tutti, project, hashFlow(megabyte)), "hash");
      const { copyingColumns, referencingColumns } = await import("../src/artifacts/store.ts");
      const known = new Set([...referencingColumns, ...copyingColumns].map(({ table, column }) => `${table}.${column}`));
      // The artifacts themselves.
      for (const own of ["artifacts.id", "artifact_contents.id"]) known.add(own);
      const found = await columnsWith(await artifactIds());
      assert.ok(
        found.has("artifact_uses.artifact") && found.has("turns.transcript") && found.has("task_details.result"),
        [...found].join(),
      );
      assert.deepEqual(
        [...found].filter((column) => !known.has(column)),
        [],
      );
    });

    /** As if it had been put two days ago. */
    async function makeOld(id: string): Promise<void> {
      const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 60 * 60;
      if (databaseUrl === undefined) utimesSync(join(folder.home, "artifacts", id.slice(0, 2), id), twoDaysAgo, twoDaysAgo);
      else await query("update artifact_contents set put_at = $1 where id = $2", [Math.round(twoDaysAgo * 1000), id]);
    }

    async function query(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
      if (databaseUrl === undefined) {
        const { DatabaseSync } = await import("node:sqlite");
        const db = new DatabaseSync(join(folder.home, "tutti.db"), { readOnly: true });
        try {
          return db.prepare(text).all() as Record<string, unknown>[];
        } finally {
          db.close();
        }
      }
      const client = new Client({ connectionString: databaseUrl });
      await client.connect();
      try {
        return (await client.query(text, values)).rows as Record<string, unknown>[];
      } finally {
        await client.end();
      }
    }

    async function artifactIds(): Promise<Set<string>> {
      if (databaseUrl !== undefined) return new Set((await query("select id from artifact_contents")).map(({ id }) => String(id)));
      return new Set(
        readdirSync(join(folder.home, "artifacts"), { recursive: true, encoding: "utf8" }).flatMap(
          (path) => /[0-9a-f]{64}$/.exec(path) ?? [],
        ),
      );
    }

    /** `table.column` of every value of the store in which one of the ids stands. */
    async function columnsWith(ids: Set<string>): Promise<Set<string>> {
      const tables = await query(
        databaseUrl === undefined
          ? "select name from sqlite_master where type = 'table'"
          : "select table_name as name from information_schema.tables where table_schema = 'public'",
      );
      const found = new Set<string>();
      for (const table of tables.map(({ name }) => String(name))) {
        for (const row of await query(`select * from "${table}"`)) {
          for (const [column, value] of Object.entries(row)) {
            if (typeof value === "string" && namesIn(value).some((id) => ids.has(id))) found.add(`${table}.${column}`);
          }
        }
      }
      return found;
    }
  });
}
