import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

/** The dashboard as it was built: what a browser loads for a page, read from the files as a browser reads them. */
export const builtDashboard = fileURLToPath(new URL("../../dashboard/dist", import.meta.url));

export interface BuiltFile {
  /** As in the folder: "assets/inbox-page-X.js". */
  path: string;
  /** gzip -9, bytes. */
  gzip: number;
}

export interface BuiltPage {
  js: BuiltFile[];
  css: BuiltFile[];
}

export interface Build {
  html: string;
  /** All files, also those that only some page loads. */
  paths: string[];
  text(path: string): string;
  /** What is loaded for the shell together with this page ("inbox-page"). Throws for a page that the shell does not load lazily. */
  page(name: string): BuiltPage;
  /** The pages and parts that are loaded when they are wanted, by name: "inbox-page", "markdown". */
  lazy: string[];
  /** Fonts whose range has Latin letters, in bytes as they are (they are compressed already). */
  latinFonts: { path: string; bytes: number }[];
}

/** Reads a build. Throws when there is none, or when it is not made as the one that this knows to read. */
export function readBuild(folder = builtDashboard): Build {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
  const text = (path: string): string => readFileSync(join(folder, path), "utf8");
  const html = text("index.html");
  const [entry] = valuesOf(html, /<script[^>]* src="\/(assets\/[^"]+\.js)"/g);
  if (entry === undefined) throw new Error(`${folder}/index.html loads no script`);
  const loadedByHtml = valuesOf(html, /<link rel="(?:modulepreload|stylesheet)"[^>]* href="\/(assets\/[^"]+)"/g);
  const main = text(entry);
  const lazyOf = lazyImports(main, paths);
  const file = (path: string): BuiltFile => ({ path, gzip: gzipSync(text(path), { level: 9 }).length });
  return {
    html,
    paths,
    text,
    lazy: [...lazyOf.keys()].toSorted(),
    page(name) {
      const own = lazyOf.get(name);
      if (own === undefined) throw new Error(`no page is called ${name}; there are ${[...lazyOf.keys()].join(", ")}`);
      const loaded = withStaticImports([entry, ...loadedByHtml, ...own], text);
      const of = (end: string): BuiltFile[] => loaded.filter((path) => path.endsWith(end)).map(file);
      return { js: of(".js"), css: of(".css") };
    },
    latinFonts: latinFonts(
      paths.filter((path) => path.endsWith(".css")).map(text),
      (name) => readFileSync(join(folder, "assets", name)).length,
    ),
  };
}

const valuesOf = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].flatMap((match) => match[1] ?? []);

/** `import("./x-HASH.js"), __vite__mapDeps([1, 2])`: the chunk, and what it needs (styles as well), by the chunk's name. */
function lazyImports(main: string, paths: readonly string[]): Map<string, string[]> {
  const [table] = valuesOf(main, /m\.f\s*\|\|\s*\(m\.f\s*=\s*(\[[^\]]*\])/g);
  const names = JSON.parse(table ?? "[]") as string[];
  const found = new Map<string, string[]>();
  for (const [, file = "", list = ""] of main.matchAll(
    /import\([`"]\.\/([^`"]+\.js)[`"]\)(?:\s*,\s*__vite__mapDeps\(\[([\d,\s]*)\]\))?/g,
  )) {
    const needed = list.split(",").flatMap((index) => (index.trim() === "" ? [] : (names[Number(index)] ?? [])));
    const path = `assets/${file}`;
    if (!paths.includes(path)) throw new Error(`the build loads ${path}, which is not there`);
    found.set(file.replace(/-[\w-]{8}\.js$/, ""), [path, ...needed]);
  }
  return found;
}

/** With everything that these load at once by themselves, in the order of finding. */
function withStaticImports(first: readonly string[], text: (path: string) => string): string[] {
  const loaded = new Set<string>();
  const next = [...first];
  for (let path = next.pop(); path !== undefined; path = next.pop()) {
    if (loaded.has(path)) continue;
    loaded.add(path);
    if (!path.endsWith(".js")) continue;
    // `import{a}from"./x.js"`, `export*from"./x.js"`, `import"./x.js"`; `import("./x.js")` is no such thing.
    next.push(...valuesOf(text(path), /(?:\bfrom|\bimport)\s*[`"]\.\/([^`"]+\.js)[`"]/g).map((name) => `assets/${name}`));
  }
  return [...loaded];
}

/** Of every @font-face that has the basic Latin range: its file. */
function latinFonts(styles: readonly string[], bytesOf: (name: string) => number): Build["latinFonts"] {
  const faces = styles.flatMap((style) => valuesOf(style, /@font-face\s*\{([^}]*)\}/g));
  const latin = faces.filter((face) => /U\+(?:\?\?|0*-0*ff\b)/i.test(face) || !face.includes("unicode-range"));
  return latin
    .flatMap((face) => valuesOf(face, /url\(["']?[^)"']*?([^/)"']+\.woff2)/g))
    .map((name) => ({ path: `assets/${name}`, bytes: bytesOf(name) }));
}
