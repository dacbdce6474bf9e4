import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, suite, test } from "node:test";
import { parse as parseYaml } from "yaml";
import { setInJson } from "../src/entry/mcp/install/edit-json.ts";
import { addToToml, addToYaml } from "../src/entry/mcp/install/edit-lines.ts";
import { install, isInstalled, knownProgram, type InstallOptions } from "../src/entry/mcp/install/install.ts";
import { programs } from "../src/entry/mcp/install/programs.ts";
import { makeFolder, root } from "./support/tutti.ts";

/** `tutti mcp install`: what is changed in other programs' files, and what is left as it was. */
let folder: ReturnType<typeof makeFolder>;
let person: string;
let said: string[];
let made: string[];
let good: boolean;

beforeEach(() => {
  folder = makeFolder();
  person = join(folder.path, "person");
  mkdirSync(person);
  [said, made, good] = [[], [], true];
});
afterEach(() => folder.remove());

const options = (changed: Partial<InstallOptions> = {}): InstallOptions => ({
  home: folder.home,
  userHome: person,
  configHome: join(person, ".config"),
  path: join(folder.path, "bin"),
  dryRun: false,
  yes: true,
  makeToken: async (name) => {
    made.push(name);
    return `tutti_secret_${made.length}`;
  },
  isGood: async () => good,
  say: (text) => void said.push(text),
  // A pipe: nobody sits there.
  input: new PassThrough() as unknown as NodeJS.ReadStream,
  output: new PassThrough() as unknown as NodeJS.WriteStream,
  ...changed,
});

const fileOf = (name: string): string => {
  const program = knownProgram(name);
  assert.equal(program.kind, "file");
  return program.kind === "file" ? program.file({ home: person, configHome: join(person, ".config") }) : "";
};

function write(name: string, text: string): string {
  const path = fileOf(name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const everyFile = (): string[] => readdirSync(folder.path, { recursive: true, encoding: "utf8" }).toSorted();
const launch = { command: join(root, "bin/tutti"), args: ["mcp", "--as", "x"], env: { TUTTI_HOME: "/data" } };

suite("a program's file", () => {
  for (const { name, kind } of programs.filter((program) => program.kind === "file")) {
    test(`${name}: is written once, holds the bridge and no token, and the second time is there already`, async () => {
      assert.equal(kind, "file");
      assert.equal(await install(name, options()), "installed");
      const text = readFileSync(fileOf(name), "utf8");
      assert.ok(text.includes(join(root, "bin/tutti")) && text.includes("--as") && text.includes(folder.home));
      assert.ok(!text.includes("tutti_secret"));
      assert.deepEqual(made, [`mcp-${name}`]);
      const token = join(folder.home, "mcp", `${name}.token`);
      assert.equal(readFileSync(token, "utf8"), "tutti_secret_1\n");
      assert.equal(statSync(token).mode & 0o777, 0o600);
      assert.equal(await isInstalled(knownProgram(name), options()), true);
      assert.equal(await install(name, options()), "there already");
      assert.equal(readFileSync(fileOf(name), "utf8"), text);
      assert.equal(made.length, 1);
    });
  }

  test("keeps everything else byte for byte, its mode, and the old text beside it", async () => {
    const before = '{\n    "theme" : "dark",   "mcpServers": {\n        "other": {"command":"x"}\n    },\n    "last": [1,2 , 3]\n}\n';
    const path = write("gemini", before);
    chmodSync(path, 0o640);
    await install("gemini", options());
    const after = readFileSync(path, "utf8");
    const at = before.indexOf('"x"}') + 4;
    assert.ok(after.startsWith(before.slice(0, at)));
    assert.ok(after.endsWith(before.slice(at)));
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.equal(readFileSync(`${path}.before-tutti`, "utf8"), before);
    writeFileSync(path, '{"mcpServers":{}}');
    await install("gemini", options());
    assert.equal(readFileSync(`${path}.before-tutti`, "utf8"), before, "an earlier backup stays");
    assert.equal(readFileSync(`${path}.before-tutti-2`, "utf8"), '{"mcpServers":{}}');
  });

  test("that has comments is refused with what to write by hand, and nothing is changed", async () => {
    const path = write("gemini", '{\n  // mine\n  "theme": "dark"\n}\n');
    const before = everyFile();
    await assert.rejects(install("gemini", options()), (error: { code: string; fix: string[] }) => {
      assert.equal(error.code, "conflict");
      assert.match(error.fix.join("\n"), /"mcpServers": \{\n {4}"tutti"/);
      return true;
    });
    assert.deepEqual(everyFile(), before);
    assert.equal(readFileSync(path, "utf8"), '{\n  // mine\n  "theme": "dark"\n}\n');
    assert.deepEqual(made, []);
  });

  test("that is a link stays one", async () => {
    const real = join(folder.path, "dotfiles.json");
    writeFileSync(real, "{}\n");
    mkdirSync(dirname(fileOf("cursor")), { recursive: true });
    symlinkSync(real, fileOf("cursor"));
    await install("cursor", options());
    assert.ok(readFileSync(real, "utf8").includes("tutti"));
    assert.equal(statSync(fileOf("cursor")).ino, statSync(real).ino);
  });

  test("that somebody writes while the person thinks is not written over", async () => {
    const path = write("gemini", "{}\n");
    const changing = options({
      makeToken: async () => {
        writeFileSync(path, '{"theme":"light"}\n');
        return "t";
      },
    });
    await assert.rejects(install("gemini", changing), /has changed meanwhile/);
    assert.equal(readFileSync(path, "utf8"), '{"theme":"light"}\n');
  });
});

test("only shown, nothing is written and no token is made", async () => {
  const before = everyFile();
  for (const { name } of programs.filter(({ kind }) => kind === "file"))
    assert.equal(await install(name, options({ dryRun: true, yes: false })), "only shown");
  assert.deepEqual(everyFile(), before);
  assert.deepEqual(made, []);
  assert.ok(said.every((text) => /^\+.*tutti/m.test(text)));
});

test("without a terminal and without --yes nothing is written", async () => {
  const before = everyFile();
  await assert.rejects(install("codex", options({ yes: false })), /nobody can be asked/);
  assert.deepEqual(everyFile(), before);
  assert.deepEqual(made, []);
});

test("at a terminal only y is yes", async () => {
  for (const [answer, result] of [
    ["n\n", "left"],
    ["\n", "left"],
    ["y\n", "installed"],
  ] as const) {
    const input = Object.assign(new PassThrough(), { isTTY: true });
    input.write(answer);
    const asked = options({ yes: false, input: input as unknown as NodeJS.ReadStream });
    assert.equal(await install("codex", asked), result, JSON.stringify(answer));
    assert.equal(existsSync(fileOf("codex")), result === "installed");
  }
});

test("a token that is no longer good is made anew", async () => {
  await install("codex", options());
  good = false;
  assert.equal(await install("codex", options()), "installed");
  assert.equal(readFileSync(join(folder.home, "mcp/codex.token"), "utf8"), "tutti_secret_2\n");
});

test("a program that nobody knows is answered with those that are", async () => {
  await assert.rejects(install("gemnii", options()), (error: { code: string; fix: string[] }) => {
    assert.equal(error.code, "not_found");
    assert.equal(error.fix[0], "tutti mcp install gemini");
    return true;
  });
});

suite("a program with a command of its own", () => {
  /** It keeps what it was told in its home, as the real one does. */
  function plant(exit = 0): void {
    const file = join(folder.path, "bin", "claude");
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      file,
      `#!/bin/sh\nif [ "$2" = get ]; then test -e "$HOME/told"; exit; fi\n[ ${exit} = 0 ] || { echo "no such flag" >&2; exit ${exit}; }\nprintf '%s\\n' "$@" > "$HOME/told"\n`,
    );
    chmodSync(file, 0o755);
  }
  const path = () => `${join(folder.path, "bin")}:/usr/bin:/bin`;

  test("is told by that command, which is shown first, and the second time is not", async () => {
    plant();
    assert.equal(await install("claude", options({ path: path(), dryRun: true })), "only shown");
    assert.match(said.join("\n"), /runs: .*claude mcp add .* --scope user tutti -- .*bin\/tutti mcp --as claude/);
    assert.equal(existsSync(join(person, "told")), false);
    assert.equal(await install("claude", options({ path: path() })), "installed");
    assert.deepEqual(readFileSync(join(person, "told"), "utf8").trim().split("\n").slice(-5), [
      "--",
      join(root, "bin/tutti"),
      "mcp",
      "--as",
      "claude",
    ]);
    assert.equal(await install("claude", options({ path: path() })), "there already");
  });

  test("that refuses is an error with its own words", async () => {
    plant(3);
    await assert.rejects(install("claude", options({ path: path() })), (error: { code: string; why: string }) => {
      assert.equal(error.code, "failed");
      assert.match(error.why, /no such flag/);
      return true;
    });
  });

  test("that is not installed says so", async () => {
    await assert.rejects(install("claude", options()), (error: { code: string }) => error.code === "agent_unavailable");
  });
});

suite("edits", () => {
  const value = { command: "x", args: ["a"] };
  test("JSON: into nothing, into an empty object, beside others, in place of an old value", () => {
    const cases: [string, string][] = [
      ["", '{\n  "a": {\n    "b": {\n      "command": "x",\n      "args": [\n        "a"\n      ]\n    }\n  }\n}\n'],
      ["{}", '{\n  "a": {\n    "b": {\n      "command": "x",\n      "args": [\n        "a"\n      ]\n    }\n  }\n}'],
      ['{\n\t"a": {}\n}', '{\n\t"a": {\n\t\t"b": {\n\t\t\t"command": "x",\n\t\t\t"args": [\n\t\t\t\t"a"\n\t\t\t]\n\t\t}\n\t}\n}'],
      ['{"a":{"b":1,"c":"}"}}', '{"a":{"b":{\n  "command": "x",\n  "args": [\n    "a"\n  ]\n},"c":"}"}}'],
    ];
    for (const [before, after] of cases) assert.equal(setInJson(before, ["a", "b"], value), after);
    const twice = '{"a":{"x":1},"a":{"y":"\\"{"}}';
    assert.deepEqual(JSON.parse(setInJson(twice, ["a", "b"], 1) ?? ""), { a: { y: '"{', b: 1 } });
    assert.equal(
      setInJson('{\r\n  "a": {\r\n    "c": 1\r\n  }\r\n}\r\n', ["a", "b"], 2),
      '{\r\n  "a": {\r\n    "c": 1,\r\n    "b": 2\r\n  }\r\n}\r\n',
    );
    for (const text of ["[]", "{", '{"a": 1,}', "// c\n{}", '{"a": []}', '{"a": "text"}'])
      assert.equal(setInJson(text, ["a", "b"], value), null, text);
  });

  test("TOML: a section at the end, once, and never a second table of the name", () => {
    const before = 'model = "o"\n\n[mcp_servers.other]\ncommand = "y"';
    const after = addToToml(before, launch) ?? "";
    assert.ok(after.startsWith(`${before}\n\n[mcp_servers.tutti]\n`));
    assert.equal(addToToml(after, launch), after);
    for (const text of [
      "[mcp_servers.tutti]\n",
      '[mcp_servers."tutti"]\n',
      "[ mcp_servers . tutti ]\n",
      "mcp_servers = {}\n",
      "mcp_servers.tutti.command = 1\n",
      "[mcp_servers]\ntutti = {}\n",
    ])
      assert.equal(addToToml(text, launch), null, text);
  });

  test("YAML: at the end of the map, with comments and the rest as they were", () => {
    const cases = [
      "",
      "# mine\nGOOSE_MODEL: gpt   # yes\n",
      "extensions:\n  one:\n    enabled: true   # keep\n\n# after\nother: 1\n",
      "extensions:\n    one: {a: 1} # x",
      "other: |\n  text\n  more\nextensions:\n  one:\n    cmd: |\n      a\n      b\nlast: 2\n",
    ];
    for (const before of cases) {
      const after = addToYaml(before, ["extensions", "tutti"], value) ?? "";
      const there = (parseYaml(before) ?? {}) as { extensions?: object };
      assert.deepEqual(parseYaml(after), { ...there, extensions: { ...there.extensions, tutti: value } });
      const kept = after.split("\n");
      for (const line of before.split("\n")) assert.ok(kept.includes(line), `${JSON.stringify(line)} of ${JSON.stringify(before)}`);
      assert.equal(addToYaml(after, ["extensions", "tutti"], value), after);
    }
    for (const text of ["extensions: {one: {}}\n", "extensions:\n  tutti:\n    cmd: other\n", "- a\n", "a: [\n"])
      assert.equal(addToYaml(text, ["extensions", "tutti"], value), null, text);
  });
});
