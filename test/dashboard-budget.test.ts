import assert from "node:assert/strict";
import { test } from "node:test";
import { type BuiltPage, readBuild } from "./support/built-dashboard.ts";

/** What may be loaded before a person sees something. The figures of a running browser: npm run budgets. */
const kb = 1_000;
const build = readBuild();
const pageNames = ["inbox-page", "fleet-page", "board-page", "task-page", "runs-page", "run-page", "agents-page", "projects-page"];

const sizeOf = ({ js, css }: BuiltPage): number => [...js, ...css].reduce((sum, { gzip }) => sum + gzip, 0);

/** Largest first: what to look at when it is too much. */
const told = ({ js, css }: BuiltPage): string =>
  [...js, ...css]
    .toSorted((a, b) => b.gzip - a.gzip)
    .map(({ path, gzip }) => `${(gzip / kb).toFixed(1).padStart(7)} KB  ${path}`)
    .join("\n");

test("shell and first screen are under 280 KB, compressed", (t) => {
  const first = build.page("inbox-page");
  const size = sizeOf(first);
  t.diagnostic(`${(size / kb).toFixed(1)} KB in ${first.js.length + first.css.length} files`);
  assert.ok(first.js.length > 3 && size > 100 * kb, `the files of the first screen were not found:\n${told(first)}`);
  assert.ok(size < 280 * kb, `the first screen is ${(size / kb).toFixed(1)} KB:\n${told(first)}`);
});

test("every page is under 450 KB with the shell, and its styles under 40 KB", () => {
  for (const name of pageNames) {
    const page = build.page(name);
    assert.ok(sizeOf(page) < 450 * kb, `${name} is ${(sizeOf(page) / kb).toFixed(1)} KB:\n${told(page)}`);
    assert.ok(sizeOf({ js: [], css: page.css }) < 40 * kb, `${name}:\n${told({ js: [], css: page.css })}`);
  }
});

test("pages and what only some of them need come when they are wanted", () => {
  for (const name of [...pageNames, "palette-search"]) assert.ok(build.lazy.includes(name), `${name} is not loaded lazily`);
  const first = build.page("inbox-page").js.map(({ path }) => path);
  const others = [...pageNames.slice(1), "palette-search", "markdown"];
  for (const name of others) assert.ok(!first.some((path) => path.startsWith(`assets/${name}-`)), `the first screen loads ${name}`);
});

test("Latin text needs two fonts of at most 120 KB together", () => {
  assert.equal(build.latinFonts.length, 2, build.latinFonts.map(({ path }) => path).join());
  assert.ok(build.latinFonts.reduce((sum, { bytes }) => sum + bytes, 0) <= 120 * kb);
});

test("nothing of the first screen makes code of text, and what could is told not to", () => {
  const first = build.page("inbox-page").js;
  for (const { path } of first) assert.doesNotMatch(build.text(path), /\beval\(|\bFunction\(|\bsetTimeout\([`"']/, path);
  // zod asks this before it tries; it is loaded later than the shell, which says it.
  const withZod = build.paths.filter((path) => path.endsWith(".js") && build.text(path).includes("__zod_globalConfig"));
  const [entry] = first.filter(({ path }) => build.html.includes(`src="/${path}"`));
  assert.ok(entry && withZod.includes(entry.path), "the shell does not tell zod");
  assert.match(build.text(entry.path), /__zod_globalConfig\s*=\s*\{\s*jitless:\s*(?:true|!0)/);
});

test("nothing is inline in the page, nothing comes from elsewhere, and no source is told", () => {
  const { html } = build;
  assert.doesNotMatch(html, /<script(?![^>]* src=)/);
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=/);
  for (const [, address = ""] of html.matchAll(/(?:src|href)="([^"]*)"/g)) assert.match(address, /^\/(?!\/)/);
  assert.deepEqual(
    build.paths.filter((path) => path.endsWith(".map")),
    [],
  );
  for (const path of build.paths.filter((one) => /\.(?:js|css)$/.test(one))) {
    const text = build.text(path);
    assert.doesNotMatch(text, /sourceMappingURL/, path);
    if (path.endsWith(".css")) assert.doesNotMatch(text, /@import|url\(["']?(?:https?:|\/\/|data:)/, path);
  }
});
