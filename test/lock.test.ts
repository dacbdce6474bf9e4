import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

interface LockEntry {
  version?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  optionalDependencies?: Record<string, string>;
}

interface Lock {
  packages: Record<string, LockEntry>;
}

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  allowScripts?: Record<string, boolean>;
}

const root = dirname(import.meta.dirname);
const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

/**
 * A registry that lags lets `npm install` write a lock which `npm ci` refuses: a tool's binary for some platform is named by the
 * tool and missing in the lock.
 */
function missingOptional({ packages }: Lock): string[] {
  return Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {})
      .filter((name) => !placesOf(path, name).some((place) => packages[place]))
      .map((name) => `${path || "package.json"} wants ${name}`),
  );
}

/** Where Node looks for a package that is wanted at `path`: below it, then upwards. */
function placesOf(path: string, name: string): string[] {
  const parents = path.split("/node_modules/").map((_, index, parts) => parts.slice(0, parts.length - index).join("/node_modules/"));
  return [...parents.filter((parent) => parent !== "").map((parent) => `${parent}/node_modules/${name}`), `node_modules/${name}`];
}

function notExact({ dependencies, devDependencies, optionalDependencies }: Manifest): string[] {
  const all = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
  return all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)).map(([name, version]) => `${name}@${version}`);
}

/** Absolute paths of somebody's machine, and addresses of a package registry. */
const leaks = [
  /(?<![\w.$}>)/-])\/(?:home|Users|work|workspace|builds)\/[\w.-]+/,
  /https?:\/\/[^/\s"]*(?:registry|npm|artifactory|nexus|verdaccio)[^/\s"]*/,
];

/** A clone at /src says nothing about a machine, and is a word of many texts. */
const isTelling = (path: string): boolean => path.split("/").length > 2;

function leaksIn(text: string): string[] {
  const lines = text.split("\n");
  return lines
    .filter((line) => (isTelling(root) && line.includes(root)) || leaks.some((leak) => leak.test(line)))
    .map((line) => line.trim().slice(0, 200));
}

test("every optional dependency that the lock names is in the lock", () => {
  assert.deepEqual(missingOptional(lock), []);
  const nested = {
    packages: { "node_modules/a": { optionalDependencies: { "a-linux": "1.0.0" } }, "node_modules/a/node_modules/a-linux": {} },
  };
  assert.deepEqual(missingOptional(nested), []);
});

test("control: a missing binding is reported", () => {
  const lagging = {
    packages: { "node_modules/a": { optionalDependencies: { "a-linux": "1.0.0" } }, "node_modules/b/node_modules/a-linux": {} },
  };
  assert.deepEqual(missingOptional(lagging), ["node_modules/a wants a-linux"]);
});

test("every dependency is pinned to one version, and the lock holds that one", () => {
  assert.deepEqual(notExact(manifest), []);
  assert.deepEqual(notExact({ dependencies: { a: "^1.0.0", b: "1.x", c: "1.2.3", d: "latest" } }), ["a@^1.0.0", "b@1.x", "d@latest"]);
  for (const [name, version] of Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  })) {
    assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name);
  }
});

test("the lock names no address from which packages came", () => {
  // A workspace of our own is a link to its folder.
  const named = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined && !("link" in entry));
  assert.deepEqual(named, []);
});

test("no package runs a script at installation unless package.json decided about it", () => {
  const scripted = Object.entries(lock.packages).filter(([, entry]) => entry.hasInstallScript);
  const undecided = scripted
    .map(([path]) => path.split("node_modules/").at(-1) ?? "")
    .filter((name) => manifest.allowScripts?.[name] === undefined);
  assert.deepEqual(undecided, []);
});

test("no file of the repository names a machine's paths or a registry", () => {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" });
  const files = listed.split("\0").filter((file) => file !== "" && existsSync(join(root, file)));
  const found = files.flatMap((file) => leaksIn(readFileSync(join(root, file), "utf8")).map((line) => `${file}: ${line}`));
  assert.deepEqual(found, []);
});

test("control: a path and an address are reported", () => {
  const planted = [["", "home", "ada", "tutti"].join("/"), ["https:", "", ["registry", "example", "org"].join("."), "zod"].join("/")];
  for (const text of planted) assert.equal(leaksIn(`see ${text} there`).length, 1, text);
  assert.deepEqual(leaksIn("src/home/start.ts, /home/<name>, $HOME/work/x, https://nodejs.org/x"), []);
});
