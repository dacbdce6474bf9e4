import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { addAgent, addProject, done, fileIn, fileOfRunning, finished, give, mirrorOf, shellAgent, transcriptOf } from "./support/work.ts";
import { assertNothingLeft, git, makeRepository, root, startTutti, until, type Tutti } from "./support/tutti.ts";

/**
 * What an agent, a flow's command, a check and a project's set-up can see of the machine: nothing of Tutti, of other sessions and
 * of people. The probe is a program in the repository that really tries; what it got it writes down.
 */
const secret = "planted-secret-4711";
const planted = {
  OPENAI_API_KEY: secret,
  ANTHROPIC_API_KEY: secret,
  AWS_SECRET_ACCESS_KEY: secret,
  GITHUB_TOKEN: secret,
  NPM_TOKEN: secret,
  PGPASSWORD: secret,
  SSH_AUTH_SOCK: `/run/${secret}`,
  TUTTI_TOKEN: secret,
  BASH_ENV: `/nowhere/${secret}`,
};
/** All that a sandboxed process gets, from the server and from Node's start in a shell. */
const allowed = new Set([
  "PATH",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "LC_CTYPE",
  "LC_MESSAGES",
  "TZ",
  "TERM",
  "HOME",
  "TMPDIR",
  "PWD",
  "OLDPWD",
  "SHLVL",
  "_",
  "GIT_TERMINAL_PROMPT",
  "TUTTI_URL",
  "TUTTI_TOKEN",
  "TUTTI_SESSION",
  "TUTTI_INSTANCE",
  "TUTTI_PROCESS",
]);

interface Seen {
  where: string;
  tried: number;
  got: string[];
  environment: Record<string, string>;
}

// Beside the source and not below /tmp, which every sandbox empties: what is hidden here is hidden for its own sake.
const folder = mkdtempSync(join(root, "node_modules/.tutti-test-"));
const home = join(folder, "home");
const person = join(folder, "person");
const ownHome = userInfo().homedir;
const personsOwn = mkdtempSync(join(existsSync(ownHome) ? ownHome : folder, ".tutti-test-"));
const scratch = `/tmp/${folder.split("/").at(-1)}-scratch`;
const repository = join(folder, "repository");
const probe = readFileSync(join(import.meta.dirname, "support/probe/probe.mjs"), "utf8");
const mark = `waits-${process.pid}`;

let tutti: Tutti;
let project: string;
let objects: string[];

const filesBelow = (place: string): string[] =>
  readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const stateOf = (files: string[]): string[] => files.map((file) => createHash("sha256").update(readFileSync(file)).digest("hex"));

/** Another session is at work while we look; the probe and what it shall try come into the repository afterwards. */
async function setTheStage(): Promise<void> {
  mkdirSync(join(person, ".ssh"), { recursive: true });
  for (const file of [join(person, "notes.txt"), join(person, ".ssh/id_ed25519"), join(personsOwn, "notes.txt")])
    writeFileSync(file, secret);
  makeRepository(repository, { "README.md": "# A project\n", "tutti.yaml": "setup: 'true'\n" });
  tutti = await startTutti({ home, env: { ...planted, HOME: person } });
  await tutti.client.command("provider.set", { name: "house", baseUrl: "http://127.0.0.1:9/v1", model: "m", key: secret });
  await addAgent(tutti, shellAgent);
  project = await addProject(tutti, repository);
  const waiting = await give(
    tutti,
    project,
    `echo '${secret}' > secret.txt; echo '${secret}' > "$HOME/secret.txt"; exec tail -f /dev/null ${mark}`,
  );
  const other = await fileOfRunning(tutti, waiting.id, "secret.txt");
  objects = filesBelow(join(mirrorOf(tutti, project), "objects"));
  const targets = {
    read: [
      ...["server.json", "token", "tutti.db", "id", "keys", "keys/house", "log", "artifacts"].map((name) => join(home, name)),
      other.work,
      join(other.work, "secret.txt"),
      join(dirname(other.work), "home"),
      join(dirname(other.work), "home/secret.txt"),
      person,
      join(person, "notes.txt"),
      join(person, ".ssh"),
      join(person, ".ssh/id_ed25519"),
      personsOwn,
      join(personsOwn, "notes.txt"),
      repository,
      join(repository, "README.md"),
      "/etc/shadow",
      "/var/backups",
      join(mirrorOf(tutti, project), "HEAD"),
      join(mirrorOf(tutti, project), "config"),
    ],
    list: [
      { path: home, but: ["sessions", "repositories"] },
      { path: join(home, "sessions"), but: [] },
      { path: join(home, "repositories"), but: [`${project}.git`] },
      { path: mirrorOf(tutti, project), but: ["objects"] },
    ],
    spoil: [...objects.slice(0, 5), join(mirrorOf(tutti, project), "HEAD"), join(home, "tutti.db"), join(other.work, "secret.txt")],
    alter: ["/etc/passwd", "/etc/hostname", "/proc/sys/kernel/core_pattern", join(root, "package.json"), join(repository, "README.md")],
    enter: [
      "/",
      "/etc",
      "/usr/local",
      "/usr/local/bin",
      "/var/lib",
      "/opt",
      // In a clone below /tmp these two stand in the session's own /tmp, where anything may be made.
      ...[root, folder].filter((path) => !path.startsWith("/tmp/")),
      home,
      person,
      personsOwn,
      repository,
      join(home, "sessions"),
      other.work,
      mirrorOf(tutti, project),
      join(mirrorOf(tutti, project), "objects"),
      join(mirrorOf(tutti, project), "objects/pack"),
      join(mirrorOf(tutti, project), "hooks"),
    ],
    processes: [tutti.pid, process.pid],
    secrets: [secret, mark, "main.ts"],
    scratch,
  };
  writeFileSync(join(repository, "probe.mjs"), probe);
  writeFileSync(join(repository, "targets.json"), JSON.stringify(targets));
  writeFileSync(join(repository, "tutti.yaml"), "setup: node probe.mjs setup\n");
  git(repository, "add", "-A");
  git(repository, "commit", "-qm", "the probe");
}

/** The probe really looked, got nothing, and was given no more than it may have. */
function assertConfined(text: string, where: string): void {
  const seen = JSON.parse(text) as Seen;
  assert.equal(seen.where, where);
  assert.ok(seen.tried > 100, `${where} tried ${seen.tried} things`);
  assert.deepEqual(seen.got, [], where);
  assert.deepEqual(
    Object.keys(seen.environment).filter((name) => !allowed.has(name)),
    [],
    where,
  );
  assert.ok(!JSON.stringify(seen.environment).includes(secret), where);
}

before(setTheStage);
after(async () => {
  await tutti?.stop();
  for (const place of [folder, personsOwn]) rmSync(place, { recursive: true, force: true, maxRetries: 5 });
});

test("an agent, its check and the project's set-up see nothing of Tutti, of other sessions and of people, and spoil nothing", async () => {
  const before = stateOf(objects);
  // The set-up has found nothing, or the task would have failed with it.
  const { id } = await give(tutti, project, "node probe.mjs agent", { check: { run: "node probe.mjs check" } });
  const task = await done(tutti, id);
  assert.equal(task.verified, true);
  assertConfined(fileIn(tutti, project, task.result?.commit, "seen-agent.json"), "agent");
  assertConfined(fileIn(tutti, project, task.result?.commit, "seen-setup.json"), "setup");
  assertConfined(await transcriptOf(tutti, task.session, "check"), "check");
  assert.deepEqual(stateOf(objects), before);
  assert.equal(existsSync(scratch), false, "its temporary folder is its own");
  git(mirrorOf(tutti, project), "fsck", "--full", "--strict");

  const merging = await tutti.client.command("task.merge", { id, check: "node probe.mjs merge" });
  assert.equal((await done(tutti, merging.id)).verified, true);
  assert.match(git(repository, "show", "main:seen-agent.json"), /"got":\[\]/);
});

test("a flow's command sees no more than an agent, and has no token", async () => {
  const source = "name: look\nsteps:\n  - id: look\n    run: [node, probe.mjs, run]\n";
  const run = await tutti.client.command("run.create", { project, source });
  const step = await until("the step to end", async () => {
    const { items } = await tutti.client.query("run.steps", { id: run.id });
    return items.find(({ state }) => state === "done" || state === "failed");
  });
  const task = await finished(tutti, step.task ?? "");
  assert.equal(task.state, "done", task.message ?? "");
  const text = fileIn(tutti, project, task.result?.commit, "seen-run.json");
  assertConfined(text, "run");
});

test("control: with the project's `sandbox: none` the same probe reads what is hidden from all others", async () => {
  const open = join(folder, "open");
  const hidden = join(home, "log", "readable-by-all.txt");
  writeFileSync(hidden, "hello", { mode: 0o644 });
  makeRepository(open, { "probe.mjs": probe, "targets.json": JSON.stringify({ read: [hidden, join(person, "notes.txt")] }) });
  const trusted = await addProject(tutti, open, { sandbox: "none" });
  const { id } = await give(tutti, trusted, "node probe.mjs control || true");
  const task = await done(tutti, id);
  const seen = JSON.parse(fileIn(tutti, trusted, task.result?.commit, "seen-control.json")) as Seen;
  assert.deepEqual(seen.got, [`read ${hidden}`, `read ${join(person, "notes.txt")}`]);
  assert.ok(!JSON.stringify(seen.environment).includes(secret), "its environment is short all the same");
});

test("where nothing can confine agents, only a project that says `sandbox: none` runs them", async () => {
  const place = mkdtempSync(join(folder, "group-"));
  const group = await startTutti({ home: join(place, "home"), env: { TUTTI_PROCESSES: "group" } });
  await addAgent(group, shellAgent);
  const confined = await addProject(group, makeRepository(join(place, "confined"), { "a.txt": "a\n" }));
  const refused = await finished(group, (await give(group, confined, "echo x > b.txt")).id);
  assert.equal(refused.state, "failed");
  assert.match(refused.message ?? "", /sandbox/);
  assert.match(refused.message ?? "", /sandbox none|TUTTI_PROCESSES|group/);
  const open = await addProject(group, makeRepository(join(place, "open"), { "a.txt": "a\n" }), { sandbox: "none" });
  const task = await done(group, (await give(group, open, "echo x > b.txt")).id);
  assert.deepEqual(task.result?.files, ["b.txt"]);
  assert.equal(await group.stop(), 0);
});

test("when the server ends, the sessions' processes end with it", async () => {
  assert.equal(await tutti.stop(), 0);
  await assertNothingLeft(home);
});
