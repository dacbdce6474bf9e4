import assert from "node:assert/strict";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, beforeEach, suite, test } from "node:test";
import type { TaskDetails } from "../src/tasks/task.ts";
import { addAgent, addProject, done, fileIn, give, shellAgent } from "./support/work.ts";
import { makeFolder, makeRepository, startTutti, type Tutti } from "./support/tutti.ts";

/** What a process of a session is given: a short environment, no key, and of the person's home the login that it needs or nothing. */
const key = "planted-key-0815";
const folder = makeFolder();
const person = join(folder.path, "person");
const login = join(person, ".config/goose");
const signedIn = "GOOSE_PROVIDER: the-person's-own\n";
let tutti: Tutti;
let project: string;

before(async () => {
  tutti = await startTutti({
    home: folder.home,
    env: { OPENAI_BASE_URL: "http://127.0.0.1:9/v1", OPENAI_API_KEY: key, TZ: "Europe/Rome", EDITOR: "vi", LD_LIBRARY_PATH: "/nowhere" },
  });
  project = await addProject(tutti, makeRepository(join(folder.path, "repository"), { "a.txt": "a\n" }));
});
after(async () => {
  await tutti?.stop();
  folder.remove();
});

const environmentIn = (task: TaskDetails): Record<string, string> =>
  Object.fromEntries(
    fileIn(tutti, project, task.result?.commit, "env.txt")
      .split("\n")
      .map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]),
  );

test("an agent has the language and the time zone, its own home and token, what a person wrote for it, and nothing else", async () => {
  await addAgent(tutti, shellAgent, { env: { COLOUR: "blue", HOME: "/root", TUTTI_TOKEN: "other" } });
  const script = `env > env.txt; env | cut -d= -f1 | sort | tr '\\n' ' ' > names.txt`;
  const task = await done(tutti, (await give(tutti, project, script, { env: { SIZE: "large" } })).id);
  const environment = environmentIn(task);
  const home = join(tutti.home, "sessions", task.session ?? "", "home");
  assert.equal(environment["HOME"], home);
  assert.equal(environment["TZ"], "Europe/Rome");
  assert.equal(environment["COLOUR"], "blue");
  assert.equal(environment["SIZE"], "large");
  assert.equal(environment["TUTTI_URL"], tutti.url);
  assert.equal(environment["TUTTI_SESSION"], task.session);
  assert.notEqual(environment["TUTTI_TOKEN"], tutti.token);
  const names = Object.keys(environment).filter((name) => !["_", "SHLVL", "OLDPWD"].includes(name));
  assert.deepEqual(
    new Set(names),
    new Set([
      "PATH",
      "LANG",
      "TZ",
      "HOME",
      "TMPDIR",
      "PWD",
      "GIT_TERMINAL_PROMPT",
      "COLOUR",
      "SIZE",
      "TUTTI_URL",
      "TUTTI_TOKEN",
      "TUTTI_SESSION",
      "TUTTI_INSTANCE",
      "TUTTI_PROCESS",
    ]),
  );
});

test("an agent with a provider gets the broker's address and its session's token; the key stays with the server", async () => {
  await addAgent(tutti, "keyed", { credentials: "key", provider: "openai" });
  const task = await done(tutti, (await give(tutti, project, "env > env.txt", { agent: "keyed" })).id);
  const environment = environmentIn(task);
  assert.match(environment["OPENAI_BASE_URL"] ?? "", /^http:\/\/127\.0\.0\.1:\d+\//);
  assert.notEqual(new URL(environment["OPENAI_BASE_URL"] ?? "").port, "9");
  assert.equal(environment["OPENAI_API_KEY"], environment["TUTTI_TOKEN"]);
  assert.ok(!JSON.stringify(environment).includes(key));
});

suite("a login of the person", () => {
  // A program that answers --version as goose does, and does what its prompt says.
  const program = join(folder.path, "tools", "goose");
  const look = `
look() { if [ -e "$1" ]; then echo yes; else echo no; fi; }
{
  echo "login $(look '${login}/config.yaml')"
  echo "through home $(look "$HOME/.config/goose/secrets.yaml")"
  echo "rest $(look '${person}/notes.txt')"
  echo "beside $(look '${person}/.config/other/secret')"
} > seen.txt`;
  // An agent's own program alone: a check runs what the agent wrote.
  const check = { run: `test ! -e '${login}/config.yaml' && test ! -e "$HOME/.config/goose/config.yaml"` };

  const agentFor = (name: string, settings: Parameters<typeof addAgent>[2]) =>
    addAgent(tutti, name, { preset: "goose", command: [program], ...settings });
  const seenBy = async (agent: string, script = look, more = {}): Promise<{ task: TaskDetails; seen: string[] }> => {
    const task = await done(tutti, (await give(tutti, project, script, { agent, ...more })).id);
    return { task, seen: fileIn(tutti, project, task.result?.commit, "seen.txt").split("\n") };
  };

  before(() => {
    mkdirSync(dirname(program));
    const answer = '{"type":"message","message":{"role":"assistant","content":[{"type":"text","text":"done"}]}}';
    writeFileSync(program, `#!/bin/sh\nif [ "$1" = --version ]; then echo 1.34.0; exit; fi\n/bin/sh && echo '${answer}'\n`);
    chmodSync(program, 0o755);
  });
  beforeEach(() => {
    rmSync(join(person, ".config"), { recursive: true, force: true });
    for (const place of [login, join(person, ".config/other")]) mkdirSync(place, { recursive: true });
    writeFileSync(join(login, "config.yaml"), signedIn);
    writeFileSync(join(login, "secrets.yaml"), key);
    writeFileSync(join(person, ".config/other/secret"), key);
    writeFileSync(join(person, "notes.txt"), key);
  });

  test("is seen and renewed in its own place by the program that it belongs to, with nothing else of the home", async () => {
    const added = await agentFor("signed-in", { credentials: "vendor" });
    assert.equal(added.detection.state, "ready");
    const renew = `cp "$HOME/.config/goose/config.yaml" copy.txt; echo renewed > "$HOME/.config/goose/token"; ${look}`;
    const { task, seen } = await seenBy("signed-in", renew, { check });
    assert.deepEqual(seen, ["login yes", "through home yes", "rest no", "beside no"]);
    assert.equal(task.verified, true, "its check does not see it");
    assert.equal(`${fileIn(tutti, project, task.result?.commit, "copy.txt")}\n`, signedIn);
    assert.equal(readFileSync(join(login, "token"), "utf8"), "renewed\n");
    const inSession = join(tutti.home, "sessions", task.session ?? "", "home/.config/goose");
    assert.ok(lstatSync(inSession).isSymbolicLink(), "a link, and no copy");
  });

  test("is not seen by an agent without credentials, or with a key", async () => {
    for (const [name, settings] of [
      ["without", { credentials: "none" }],
      ["with-key", { credentials: "key", provider: "openai" }],
    ] as const) {
      await agentFor(name, settings);
      assert.deepEqual((await seenBy(name)).seen, ["login no", "through home no", "rest no", "beside no"], name);
    }
    assert.equal(existsSync(join(login, "token")), false);
    assert.equal(readFileSync(join(login, "config.yaml"), "utf8"), signedIn);
  });
});
