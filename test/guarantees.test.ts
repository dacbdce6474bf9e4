import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const root = dirname(import.meta.dirname);

interface Named {
  guarantee: string;
  file: string;
  name: string;
}

/** The tests that the document names, each under its guarantee. */
function namedTests(document: string): Named[] {
  let guarantee = "";
  return document.split("\n").flatMap((line) => {
    guarantee = /^\*\*(G\d+) /.exec(line)?.[1] ?? guarantee;
    const [, file, name] = /^- `([^`]+)`: "(.+)"$/.exec(line) ?? [];
    return file && name ? [{ guarantee, file, name }] : [];
  });
}

/** Guarantees without a test, which do not say so. */
function unshown(document: string): string[] {
  const shown = new Set(namedTests(document).map(({ guarantee }) => guarantee));
  const parts = document.split(/^(?=\*\*G\d+ )/m).slice(1);
  return parts
    .filter((part) => !part.includes("not yet"))
    .flatMap((part) => /^\*\*(G\d+) /.exec(part)?.[1] ?? [])
    .filter((id) => !shown.has(id));
}

/** Those that are no test: the file is not there, or has no test of that name. */
const missing = (named: readonly Named[]): string[] =>
  named
    .filter(({ file, name }) => !existsSync(join(root, file)) || !isTestOf(readFileSync(join(root, file), "utf8"), name))
    .map(({ guarantee, file, name }) => `${guarantee}: ${file} has no test "${name}"`);

/** As the beginning of a test's or rule's name, behind what a loop puts before it. */
function isTestOf(source: string, name: string): boolean {
  const before = source.slice(0, Math.max(0, source.indexOf(name)));
  return /\b(?:test|rule)\(\s*["'`](?:\$\{[^}]+\}: )?$/.test(before);
}

const text = readFileSync(join(root, "docs/guarantees.md"), "utf8");

test("every guarantee from G1 to G24 is there, and names a test or says that there is none yet", () => {
  const ids = [...text.matchAll(/^\*\*(G\d+) /gm)].map(([, id]) => id);
  assert.deepEqual(
    ids,
    Array.from({ length: 24 }, (_, index) => `G${index + 1}`),
  );
  assert.deepEqual(unshown(text), []);
});

test("every test that a guarantee names is there", () => {
  assert.ok(namedTests(text).length > 40);
  assert.deepEqual(missing(namedTests(text)), []);
});

test("control: a test that is not there is told, and a guarantee that shows nothing", () => {
  const document =
    '**G1 Kept.** It is.\n\n- `test/guarantees.test.ts`: "no such rule"\n- `test/gone.test.ts`: "a rule"\n\n**G2 Bare.** Nothing.\n';
  assert.deepEqual(missing(namedTests(document)), [
    'G1: test/guarantees.test.ts has no test "no such rule"',
    'G1: test/gone.test.ts has no test "a rule"',
  ]);
  assert.deepEqual(unshown(document), ["G2"]);
});
