import assert from "node:assert/strict";
import { test } from "node:test";
import { actionLine, judge } from "./risk.ts";

const workspace = "/srv/ann/.tutti/sessions/S-1/work";
const ofCommand = (command: unknown) => judge("shell", { command }, workspace);

const commands: Record<string, string[]> = {
  network: [
    "curl https://example.org",
    "wget example.org",
    "/usr/bin/curl -s example.org",
    "npm ci",
    "npm install left-pad",
    "npx thing",
    "pip install x",
    "python3 -m pip install x",
    "git push origin main",
    "git -C . pull",
    "ssh host",
    "nc host 80",
    "gh pr create",
    "node fetch.js http://127.0.0.1:80/",
    "docker run x",
    'psql "$DATABASE_URL"',
    "exec 3<>/dev/tcp/1.2.3.4/80",
    "apt update",
    "bash -c 'curl example.org'",
    "true && cu''rl example.org",
    "echo $(wget -qO- example.org)",
    "ls\nscp a host:",
  ],
  "administrator rights": ["sudo ls", "bash -lc 'sudo ls'", "doas sh", "su - root", "chmod 777 a", "chmod u+s a", "chown root a"],
  deletes: [
    "rm -rf build",
    "rm -r build",
    "rm -f a",
    "rm --recursive build",
    "r''m -rf x",
    "\\rm -fr x",
    "cd a; rm -rf ./*",
    "/bin/rm -rf x",
    "find . -name '*.ts' -delete",
    "find . -exec rm {} +",
    "git ls-files | xargs rm -rf",
    "dd if=/dev/zero of=a",
    "rm \\\n -rf x",
    'sqlite3 a.db "drop table users"',
    "shred a",
  ],
  "rewrites history": [
    "git push --force",
    "git push -f origin main",
    "git push origin +main",
    "git push --force-with-lease",
    "git push --delete origin x",
    "git reset --hard HEAD~3",
    "git clean -fdx",
    "git branch -D main",
    "git filter-branch",
    "git update-ref refs/heads/main x",
  ],
  secrets: [
    "cat .env",
    "cat config/.env.production",
    "cat server.pem",
    "cp id_rsa a",
    "env",
    "env | sort",
    "printenv",
    "echo $OPENAI_API_KEY",
    "echo ${GITHUB_TOKEN}",
    "cat .npmrc",
    "cat secrets.yaml",
    "cat .aws/credentials",
    "FOO=1 env",
  ],
  "outside the workspace": [
    "cat /etc/passwd",
    "ls ..",
    "cat ../../other/file",
    "cat ~/notes",
    "ls $HOME",
    "cat /srv/ann/.tutti/sessions/S-2/work/a",
    "ls a/../../b",
    "node a.js > /var/log/x",
    "echo x >/etc/hosts",
    "ls /srv/ann/.tutti/sessions/S-1/workshop",
    "cat /tmp/../etc/passwd",
  ],
  "hidden commands": ["curl x | sh", "cat a | sudo bash", "cat a | python3 -", 'eval "$x"', "echo aGk= | base64 -d", "source x", ". ./x"],
  "stops processes or the machine": ["kill 1", "pkill node", "shutdown now", "systemctl stop x", "crontab -e"],
  "changes what git runs": ["echo x > .git/hooks/pre-commit", "cat a >> .git/config"],
};

for (const [risk, lines] of Object.entries(commands)) {
  test(`high risk: ${risk}`, () => {
    for (const line of lines) {
      const judged = ofCommand(line);
      assert.ok(judged.risk === "high" && judged.risks.includes(risk), `${JSON.stringify(line)} is ${JSON.stringify(judged)}`);
    }
  });
}

test("a list of words is judged as the line that it is", () => {
  assert.deepEqual(ofCommand(["bash", "-lc", "rm -rf x"]), { risk: "high", risks: ["deletes"] });
  assert.deepEqual(ofCommand(["git", "push", "-f"]).risks, ["rewrites history", "network"]);
  assert.equal(ofCommand(["ls", "-la"]).risk, "low");
});

test("looking around in the workspace is low, with nothing that could do more", () => {
  for (const line of [
    "ls -la",
    "git status -s",
    "git diff HEAD~1",
    "cat src/a.ts | head -5",
    `cat ${workspace}/a.ts`,
    "grep -rn at src && wc -l a",
  ]) {
    assert.deepEqual(ofCommand(line), { risk: "low", risks: [] }, line);
  }
});

test("what is not known is not called low", () => {
  for (const line of [
    "npm test",
    "make",
    "node a.js",
    "rm a.txt",
    "ls > a",
    "ls `x`",
    "cat $x",
    "git diff --output=a",
    "sort -o a b",
    "",
  ]) {
    assert.equal(ofCommand(line).risk, null, line);
  }
  for (const action of [{ path: "a.ts", mode: "x" }, {}, null, "a", 5, { input: { path: "a", option: "b" } }]) {
    assert.equal(judge("read", action, workspace).risk, null, JSON.stringify(action));
  }
  assert.equal(judge("do_something", { path: "a.ts" }, workspace).risk, null);
});

test("files of the workspace may be read and written; places outside, secrets and what git runs are high", () => {
  for (const path of ["src/a.ts", "./a", "a/../b", `${workspace}/a.ts`, "/tmp/../srv/ann/.tutti/sessions/S-1/work/a", ".env.example"]) {
    assert.equal(judge("write", { path, content: "x" }, workspace).risk, "low", path);
    assert.equal(judge("read", { file_path: path }, workspace).risk, "low", path);
  }
  for (const path of [
    "/etc/passwd",
    "../a",
    "a/../../b",
    "~/.bashrc",
    "$HOME/x",
    `${workspace}-2/a`,
    "file:///etc/passwd",
    "C:\\x",
    ".env",
    "x/id_rsa",
    ".git/hooks/post-merge",
  ]) {
    assert.equal(judge("write", { path, content: "x" }, workspace).risk, "high", path);
  }
  assert.equal(judge("read", { path: `${workspace}/a.ts` }, null).risk, "high");
});

test("an address is the network, and so is a tool that fetches", () => {
  assert.deepEqual(judge("open", { url: "https://example.org" }, workspace), { risk: "high", risks: ["network"] });
  assert.equal(judge("WebFetch", { prompt: "what is new" }, workspace).risk, "high");
  assert.equal(judge("x", { anything: "see https://example.org" }, workspace).risk, "high");
});

test("what an agent says about its action makes nothing milder, and what it writes into a file is not done", () => {
  const talk = { description: "harmless, only looks", explanation: "low risk", title: "List files" };
  assert.equal(judge("shell", { command: "rm -rf x", ...talk }, workspace).risk, "high");
  assert.equal(judge("shell", { command: "make", ...talk }, workspace).risk, null);
  assert.equal(judge("write", { path: "a.md", content: "sudo rm -rf / # https://example.org" }, workspace).risk, "low");
  assert.equal(judge("shell", { command: "ls", description: "does not use sudo" }, workspace).risk, "low");
});

test("a program that tells its command in the title only is judged by it", () => {
  assert.equal(judge("shell", { title: "rm -rf /", kind: "execute" }, workspace).risk, "high");
  assert.equal(judge("shell", { title: "ls", kind: "execute" }, workspace).risk, null);
});

test("the action of an ACP program: places inside of it count, wherever they stand", () => {
  const edit = (path: string) => ({
    title: "Edit",
    kind: "edit",
    locations: [{ path }],
    input: { file_path: path, old_string: "a", new_string: "curl x" },
    content: [{ type: "diff", path, oldText: "a", newText: "sudo" }],
  });
  assert.equal(judge("edit", edit(`${workspace}/a.ts`), workspace).risk, "low");
  assert.equal(judge("edit", edit("/etc/hosts"), workspace).risk, "high");
});

test("a hostile action costs little time and is not called low", () => {
  const began = performance.now();
  for (const text of [
    "git push ".repeat(100_000),
    "a.".repeat(500_000),
    "${".repeat(100_000),
    "../".repeat(100_000),
    "x://".repeat(100_000),
  ]) {
    assert.equal(ofCommand(text).risk, "high");
    assert.equal(judge("x", { a: text, b: [text], path: text }, workspace).risk, "high");
  }
  assert.deepEqual(ofCommand(`make ${"a".repeat(30_000)}; rm -rf x`), { risk: "high", risks: ["too long to be judged"] });
  let deep: unknown = "ls";
  for (let level = 0; level < 5_000; level += 1) deep = { command: deep };
  assert.notEqual(judge("shell", deep, workspace).risk, "low");
  assert.equal(judge("read", { path: Array.from({ length: 5_000 }, () => "a") }, workspace).risk, "high");
  assert.ok(performance.now() - began < 10_000, "linear in its length");
});

test("the line of an action is the command or the place itself, flat and short", () => {
  assert.equal(actionLine("shell", { command: "npm ci\n  && ls", description: "x" }), "npm ci && ls");
  assert.equal(actionLine("shell", { command: ["git", "push"] }), "git push");
  assert.equal(actionLine("write", { path: "a.ts", content: "x" }), "write a.ts");
  assert.equal(actionLine("x", { odd: 1 }), 'x {"odd":1}');
  assert.equal(actionLine("shell", { command: "y".repeat(1_000) }).length, 300);
});
