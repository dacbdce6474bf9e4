import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { z } from "zod";
import { pages, stalePages } from "../scripts/api-docs.ts";
import { placesOf, type Place } from "../scripts/api-docs/api-page.ts";
import { typeOf } from "../scripts/api-docs/shape.ts";
import { Agent, Detection } from "../src/agents/agent.ts";
import { entries } from "../src/commands.ts";
import { openApiOf, type OpenApi } from "../src/entry/openapi.ts";
import { pathOf } from "../src/entry/openapi/operation.ts";
import { schemasOf, type Schema } from "../src/entry/openapi/schemas.ts";
import { command, makeRegistry, scopeOf, type Entry } from "../src/registry.ts";
import { checkTypes, generateClient, lint, runClient } from "./outsiders/generate.ts";
import { documentedBy } from "./support/documented.ts";
import { fill } from "./support/filled.ts";
import { announced, ask, call, itemsOf, readBySh, runExample, send, type Judged, type Sending } from "./support/judged.ts";
import { makeFolder, makeRepository, startTutti, type Tutti } from "./support/tutti.ts";

/** The API's description against its server, and against programs of others. */
const registry = makeRegistry(entries);
const all: readonly Entry[] = registry.entries;
const written = openApiOf(registry, "1.0.0");
const changed = (change: (copy: OpenApi) => void): OpenApi => {
  const copy = JSON.parse(JSON.stringify(written)) as OpenApi;
  change(copy);
  return copy;
};
const schemaOf = (document: OpenApi, name: string): { properties: Record<string, Schema>; required: string[] } =>
  document.components.schemas[name] as { properties: Record<string, Schema>; required: string[] };

const folder = makeFolder();
let tutti: Tutti;
let server: Judged;
let document: OpenApi;
let artifact: string;

before(async () => {
  tutti = await startTutti({ home: folder.home });
  document = (await (await fetch(new URL("/api/openapi.json", tutti.url))).json()) as OpenApi;
  server = { url: tutti.url, token: tutti.token, document, documented: documentedBy(document) };
  const artifacts = await fill(
    { home: tutti.home, send: (name, input) => send(server, name, input), ask: (address) => ask(server, address) },
    folder.path,
  );
  artifact = artifacts[0] ?? "";
});
after(async () => {
  await tutti.stop();
  folder.remove();
});

suite("the description", () => {
  test("is served to anyone, under its own version, and only once when it has not changed", async () => {
    assert.deepEqual(Object.keys(document.paths), Object.keys(written.paths));
    const { version } = (await (await fetch(new URL("/api/health", tutti.url))).json()) as { version: string };
    assert.equal(document.info.version, version);
    const first = await call(server, "get", "/api/openapi.json", "/api/openapi.json", { token: null });
    const second = await fetch(new URL("/api/openapi.json", tutti.url), { headers: { "if-none-match": first.headers.get("etag") ?? "" } });
    assert.deepEqual([first.status, second.status], [200, 304]);
    const foreign = await fetch(new URL("/api/openapi.json", tutti.url), { headers: { origin: "http://example.org" } });
    assert.equal(foreign.status, 403, "the doors stand before it");
  });

  test("is OpenAPI 3.1 without a fault, as others judge it", async () => {
    const problems = await lint(JSON.stringify(document));
    const items = all.filter(({ kind }) => kind === "stream").length;
    const unused = problems.filter(({ ruleId }) => ruleId === "no-unused-components");
    assert.ok(unused.length <= items, "what a stream carries is named by an extension, for it has no place in OpenAPI 3.1");
    assert.deepEqual(
      problems.filter((problem) => !unused.includes(problem)).map(({ ruleId, message }) => `${ruleId}: ${message}`),
      [],
    );
  });

  test("says of every noun what it is", () => {
    const silent = written.tags.filter(({ description }) => !description).map(({ name }) => name);
    assert.deepEqual(silent, [], "say it in src/entry/openapi.ts");
  });

  test("control: parameters that are none, a reference to nothing and an id given twice are faults", async () => {
    const broken = changed(({ paths }) => {
      const [tasks, runs] = [paths["/api/tasks"]?.get, paths["/api/runs"]?.get];
      if (!tasks || !runs) throw new Error("the lists are gone");
      tasks.parameters = "none";
      runs.operationId = tasks.operationId;
      runs.parameters = [{ $ref: "#/components/parameters/Nothing" }];
    });
    const errors = (await lint(JSON.stringify(broken))).filter(({ severity }) => severity === "error");
    assert.deepEqual(
      new Set(errors.map(({ ruleId }) => ruleId)),
      new Set(["struct", "no-unresolved-refs", "operation-operationId-unique"]),
    );
  });

  test("has every entry of the registry once, with who may call it", () => {
    const operations = new Map(placesOf(written).map((place) => [`${place.method} ${place.path}`, place.operation]));
    assert.equal(operations.size, all.length + 2);
    for (const entry of all) {
      const operation = operations.get(`${entry.kind === "command" ? "post" : "get"} ${pathOf(entry)}`);
      assert.ok(operation, entry.name);
      const access = typeof entry.access === "string" ? entry.access : "session";
      assert.deepEqual([operation["x-tutti-access"], operation["x-tutti-scope"]], [access, scopeOf(entry)], entry.name);
    }
    assert.equal(operations.get("post /api/commands/task.stop-all")?.operationId, "taskStopAll");
  });

  test("says of every input what it is", () => {
    const silent = placesOf(written).flatMap(({ operation }) => {
      const { $ref = "" } = (operation.requestBody?.content["application/json"].schema ?? {}) as { $ref?: string };
      const body = Object.entries($ref ? (schemaOf(written, $ref.split("/").at(-1) ?? "").properties ?? {}) : {});
      const fields = operation.parameters.filter((one) => one.$ref === undefined).map((one): [string, Schema] => [String(one.name), one]);
      return [...fields, ...body].filter(([, { description }]) => !description).map(([name]) => `${operation.operationId} ${name}`);
    });
    assert.deepEqual(silent, [], "give it a .describe() in its schema");
  });

  test("gives every large shape a name: it is written out once", () => {
    const large: string[] = [];
    const look = (value: unknown, place: string, isNamed: boolean): void => {
      if (typeof value !== "object" || value === null) return;
      const { properties } = value as Schema;
      if (!isNamed && Object.keys(properties ?? {}).length > 10) large.push(place);
      for (const [key, inner] of Object.entries(value)) look(inner, `${place}/${key}`, false);
    };
    look(written.paths, "paths", false);
    for (const [name, schema] of Object.entries(written.components.schemas)) look(schema, name, true);
    assert.deepEqual(large, [], "name it in its noun's file, and the file in src/entry/openapi/schemas.ts");
  });

  test("lets answers grow: no shape that is only answered is closed, and one that is only asked for is", () => {
    const { TaskListAnswer, TaskCreateInput, AgentSettings, AgentSettingsInput } = written.components.schemas;
    assert.deepEqual([TaskListAnswer?.additionalProperties, TaskCreateInput?.additionalProperties], [undefined, false]);
    const answered = Object.entries(written.components.schemas).filter(([name]) => !name.endsWith("Input") && !name.startsWith("New"));
    assert.deepEqual(
      answered.filter(([, schema]) => schema.additionalProperties === false).map(([name]) => name),
      [],
    );
    const needed = (schema: Schema | undefined): unknown[] => (schema?.required ?? []) as unknown[];
    assert.ok(needed(AgentSettings).includes("credentials"), "what has a default is always answered");
    assert.ok(!needed(AgentSettingsInput).includes("credentials"), "and may be left out");
  });

  test("calls a shape that takes less than it gives by two names, and so what refers to it", () => {
    const keep = command({
      name: "agent.keep",
      help: "Keep it.",
      input: z.strictObject({ agent: Agent }),
      output: z.object({ agent: Agent, detection: Detection }),
      access: "person",
      decide: () => Promise.reject(new Error("nobody calls it")),
    });
    const { components } = schemasOf(makeRegistry([keep]).entries);
    assert.ok(components.Detection && !components.DetectionInput, "the same either way");
    assert.match(JSON.stringify(components.AgentKeepInput), /schemas\/AgentInput"/);
    assert.match(JSON.stringify(components.AgentInput), /schemas\/AgentSettingsInput"/);
    assert.match(JSON.stringify(components.Agent), /schemas\/AgentSettings"/);
  });

  test("asks by GET only for what a query string can say", () => {
    const plain = /^(string|number|integer|boolean)(\[\])?$|^"/;
    for (const { path, method, operation } of placesOf(written)) {
      if (method !== "get") continue;
      for (const { name, schema } of operation.parameters.filter(({ $ref }) => $ref === undefined)) {
        const { $ref } = schema as { $ref?: string };
        const resolved = $ref ? (written.components.schemas[$ref.split("/").at(-1) ?? ""] ?? {}) : (schema as Schema);
        for (const type of typeOf(resolved).split(" | ")) assert.match(type, plain, `${path} ${String(name)}`);
      }
    }
  });
});

/** What the client program says. */
interface Said extends Record<string, unknown> {
  first: string;
  repeated: string;
  tasks: string[];
  part: { status: number; bytes: number; range: string };
}

suite("a client that another's generator made of it", () => {
  test("type-checks, and makes a round trip with a real server", async () => {
    const client = join(folder.path, "client");
    const generated = await generateClient(client, JSON.stringify(document));
    assert.equal(generated.code, 0, generated.output);
    const checked = await checkTypes(client);
    assert.equal(checked.code, 0, checked.output);
    const house = makeRepository(join(folder.path, "house"), { "README.md": "A house.\n" });
    const { code, output } = await runClient(client, [tutti.url, tutti.token, house, artifact]);
    assert.equal(code, 0, output);
    const said = JSON.parse(output) as Said;
    assert.equal(said.repeated, said.first, "the key was used again");
    assert.ok(said.tasks.includes(said.first));
    const { first: _first, repeated: _repeated, tasks, part, ...rest } = said;
    assert.equal(tasks.length, 3, "the repeated request made no second task");
    assert.deepEqual(rest, {
      ok: true,
      project: "house",
      mismatch: "idempotency_mismatch",
      pages: 2,
      read: { state: "done", files: ["made.txt"], verified: true, attempts: ["done"] },
      notModified: 304,
      missing: { status: 404, code: "not_found", fix: 1 },
      event: { hasId: true, seq: 1 },
    });
    assert.deepEqual([part.status, part.bytes], [206, 4]);
    assert.match(part.range, /^bytes 0-3\/\d+$/);
  });

  test("control: a description with another field does not fit the same program", async () => {
    const client = join(folder.path, "other-client");
    const other = changed((copy) => {
      const { properties, required } = schemaOf(copy, "TaskCreateInput");
      properties.text = properties.prompt ?? {};
      delete properties.prompt;
      required.splice(required.indexOf("prompt"), 1, "text");
    });
    assert.equal((await generateClient(client, JSON.stringify(other))).code, 0);
    const checked = await checkTypes(client);
    assert.notEqual(checked.code, 0);
    assert.match(checked.output, /'prompt' does not exist/);
  });
});

/** The operations of one kind of entry, their examples about what is really there. */
const placesOfKind = (kind: Entry["kind"]): Place[] => {
  const paths = new Set(all.filter((entry) => entry.kind === kind).map(pathOf));
  return placesOf(document).filter(({ path }) => paths.has(path));
};

suite("what the server answers fits the description", () => {
  test("for every query, by the example of the documentation", async () => {
    const places = placesOfKind("query");
    for (const [index, words] of readBySh(server, places).entries()) {
      const place = places[index];
      const { status, text } = await runExample(server, place as Place, words);
      assert.equal(status, 200, `${words.join(" ")}: ${text}`);
    }
  });

  test("for every list, without any choice, page by page, and for every choice that is one of few", async () => {
    for (const { path, operation } of placesOfKind("query")) {
      const fields = operation.parameters.filter(({ $ref }) => $ref === undefined);
      if (fields.some(({ required }) => required)) continue;
      await ask(server, path);
      for (const { name, schema, explode, example } of fields) {
        const { items } = schema as { items?: Schema };
        const values = typeof example === "string" ? example.split(",") : [items?.type === "string" ? "x" : "9"];
        const several = explode ? values.map((one) => `${String(name)}=${encodeURIComponent(one)}`) : [];
        if (several.length > 0) await ask(server, `${path}?${[...several, ...several].join("&")}`);
        const { $ref, enum: own } = schema as { $ref?: string; enum?: unknown[] };
        const choices = own ?? written.components.schemas[$ref?.split("/").at(-1) ?? ""]?.enum ?? [];
        for (const choice of choices as unknown[]) await ask(server, `${path}?${String(name)}=${encodeURIComponent(String(choice))}`);
      }
      if (!fields.some(({ name }) => name === "cursor")) continue;
      let next: string | null = "";
      for (let count = 0; next !== null && count < 5; count += 1) {
        const page = (await ask(server, `${path}?limit=1${next && `&cursor=${encodeURIComponent(next)}`}`)) as {
          items: unknown[];
          next: string | null;
        };
        assert.ok(page.items.length <= 1, path);
        next = page.next;
      }
    }
  });

  test("for every thing that there is", async () => {
    let asked = 0;
    for (const { path } of placesOfKind("query")) {
      const [, list, field] = /^(\/api\/[a-z]+)\/\{([a-z]+)\}/.exec(path) ?? [];
      if (!list || !field || !document.paths[list]) continue;
      const { items } = (await ask(server, `${list}?limit=100`)) as { items: Record<string, string>[] };
      assert.ok(items.length > 0, `the store has nothing for ${list}`);
      for (const item of items) {
        await ask(server, path.replace(`{${field}}`, encodeURIComponent(item[field] ?? "")));
        asked += 1;
      }
    }
    assert.ok(asked > 40, `${asked} were asked`);
  });

  test("for every stream: each item, up to the end where there is one", async () => {
    const conversation = await itemsOf(server, "/api/sessions/{id}/follow", "/api/sessions/S-1/follow", "end");
    assert.ok(conversation.length >= 3, JSON.stringify(conversation));
    const { items } = (await ask(server, "/api/events/list?limit=500")) as { items: unknown[] };
    const events = await itemsOf(server, "/api/events", "/api/events?from=start", items.length);
    assert.equal(events.length, items.length);
  });

  test("for blobs: whole, in part, not at all, and not again", async () => {
    const [path, address] = ["/api/artifacts/{id}", `/api/artifacts/${artifact}`];
    const whole = await call(server, "get", path, address);
    const size = Number(whole.headers.get("content-length"));
    assert.ok(size > 4, `${size} bytes`);
    const part = await call(server, "get", path, address, { headers: { range: "bytes=0-3" } });
    assert.deepEqual([part.status, part.text, part.headers.get("content-range")], [206, whole.text.slice(0, 4), `bytes 0-3/${size}`]);
    const behind = await call(server, "get", path, address, { headers: { range: `bytes=${size}-` } });
    assert.deepEqual([behind.status, behind.headers.get("content-range")], [416, `bytes */${size}`]);
    const same = await call(server, "get", path, address, { headers: { "if-none-match": whole.headers.get("etag") ?? "" } });
    assert.equal(same.status, 304);
  });

  test("for every error, with its code in the list of its status", async () => {
    const [create, json] = ["/api/commands/task.create", { "content-type": "application/json" }];
    const body = (value: unknown): Sending => ({ headers: json, body: JSON.stringify(value) });
    const keyed = (prompt: string): Sending => ({
      headers: { ...json, "idempotency-key": "twice" },
      body: JSON.stringify({ project: "shop", prompt, agent: "fixer" }),
    });
    const got = [
      await call(server, "get", "/api/tasks", "/api/tasks", { token: null }),
      await call(server, "get", "/api/tasks", "/api/tasks?limit=many"),
      await call(server, "get", "/api/tasks/{id}", "/api/tasks/T-999"),
      await call(server, "get", "/api/artifacts/{id}", "/api/artifacts/none"),
      await call(server, "get", "/api/sessions/{id}/follow", "/api/sessions/S-999/follow"),
      await call(server, "post", create, create, { headers: { "content-type": "text/plain" }, body: "x" }),
      await call(server, "post", create, create, body({ project: "shop", prompt: "x", unknown: 1 })),
      await announced(server, create, 5_000_000),
      await call(server, "post", create, create, keyed("once")),
      await call(server, "post", create, create, keyed("twice")),
      await call(server, "get", "/api/tasks", "/api/tasks", { headers: { "sec-fetch-site": "cross-site" } }),
    ];
    assert.deepEqual(
      got.map(({ status, body: said }) => [status, (said as { code?: string }).code]),
      [
        [401, "unauthenticated"],
        [400, "invalid_input"],
        [404, "not_found"],
        [400, "invalid_input"],
        [404, "not_found"],
        [415, "unsupported_media_type"],
        [400, "invalid_input"],
        [413, "too_large"],
        [200, undefined],
        [409, "idempotency_mismatch"],
        [403, "forbidden"],
      ],
    );
  });

  test("control: another type, a missing field, an unknown one, a code of another status and an unknown status are misfits", async () => {
    const list = await ask(server, "/api/tasks");
    const answer = { status: 200, type: "application/json", body: list };
    const judge = (change: (copy: OpenApi) => void, given: object = {}): string =>
      documentedBy(changed(change))
        .misfits("get", "/api/tasks", { ...answer, ...given })
        .join("\n");
    const task = (copy: OpenApi) => schemaOf(copy, "Task");
    assert.equal(
      judge(() => undefined),
      "",
    );
    assert.match(
      judge((copy) => (task(copy).properties.title = { type: "integer" })),
      /title must be integer/,
    );
    assert.match(
      judge((copy) => task(copy).required.push("colour")),
      /required property 'colour'/,
    );
    assert.match(
      judge((copy) => delete task(copy).properties.title),
      /must NOT have additional properties/,
    );
    assert.match(
      judge(() => undefined, { status: 418 }),
      /418 is not in the description/,
    );
    const { body } = await call(server, "get", "/api/tasks/{id}", "/api/tasks/T-999");
    const problem = { status: 404, type: "application/problem+json" };
    assert.equal(
      judge(() => undefined, { ...problem, body }),
      "",
    );
    assert.match(
      judge(() => undefined, { ...problem, body: { ...(body as object), code: "conflict" } }),
      /code must be equal to one of/,
    );
  });

  test("for a link of the dashboard: what becomes the browser's cookie is in no answer", async () => {
    const { path } = (await send(server, "link.create", {})) as { path: string };
    const code = new URL(path, tutti.url).searchParams.get("k") ?? "";
    const session = (await send(server, "link.redeem", { code })) as Record<string, unknown>;
    assert.equal(session.cookie, undefined);
    assert.equal(schemaOf(document, "LinkRedeemAnswer").properties.cookie, undefined);
  });

  // They change the store: after everything that looks at it.
  test("for every command, by the example of the documentation, whatever comes of it", async () => {
    const places = placesOfKind("command");
    const statuses: Record<number, number> = {};
    for (const [index, words] of readBySh(server, places).entries()) {
      const { status } = await runExample(server, places[index] as Place, words);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
    assert.ok((statuses[200] ?? 0) >= places.length / 2, JSON.stringify(statuses));
  });
});

suite("the written documentation", () => {
  test("is what the source says now", async () => {
    assert.deepEqual(await stalePages(), [], "run: npm run docs");
  });

  test("has every operation, every shape and every error", async () => {
    const { "docs/api.md": api = "", "docs/errors.md": errors = "" } = await pages();
    const headings = new Set([...`${api}\n${errors}`.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading));
    const operations = placesOf(written).map(({ operation }) => operation.operationId);
    assert.deepEqual(
      [...operations, "Task (shape)", "not_found", "no capacity"].filter((heading) => !headings.has(heading)),
      [],
    );
    const anchors = new Set([...headings].map((heading) => heading?.toLowerCase().replaceAll(/[()]/g, "").replaceAll(" ", "-")));
    assert.deepEqual(
      [...api.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor).filter((anchor) => !anchors.has(anchor)),
      [],
      "links that lead nowhere",
    );
  });

  test("gives every command an example that it takes", () => {
    for (const { path, operation } of placesOfKind("command")) {
      const entry = registry.byName(path.slice(path.lastIndexOf("/") + 1));
      const example = operation.requestBody?.content["application/json"].example;
      const parsed = entry?.input.safeParse(example);
      assert.ok(parsed?.success, `${entry?.name} does not take ${JSON.stringify(example)}: write one into src/entry/openapi/examples.ts`);
    }
  });
});
