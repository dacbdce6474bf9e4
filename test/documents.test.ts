import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";

const root = dirname(import.meta.dirname);
const sources = new Set(globSync(["src/**/*", "test/**/*", "scripts/**/*"], { cwd: root }).map((file) => basename(file)));

/** The documents whose words about files are held to be true. */
const documents = ["AGENTS.md", "ARCHITECTURE.md", "README.md"];

/**
 * What a document names as a file or folder of the repository: `src/tasks/task.ts`, `tasks/settle.ts` (below src/), `settle.ts`
 * (anywhere), `src/tasks/`. Patterns (`<noun>.ts`, `*`) and places outside (`$TUTTI_HOME/...`, `~/...`) are none.
 */
function namedFiles(text: string): string[] {
  const words = text.split(/[\s`"'(),;|[\]]+/).map((word) => word.replace(/[.:]+$/, ""));
  const inside = words.filter((word) => !/[<>*$~{}:=]|^\/|^refs\//.test(word) && !word.includes("..."));
  return [
    ...new Set(
      inside.filter((word) =>
        /^[\w.-]+(\/[\w.-]+)*\.(ts|mjs|sh)$|^[\w.-]+(\/[\w.-]+)+\.(md|json|yaml|sql)$|^[\w.-]+(\/[\w.-]+)*\/$/.test(word),
      ),
    ),
  ];
}

function exists(name: string): boolean {
  if (existsSync(join(root, name)) || existsSync(join(root, "src", name))) return true;
  return !name.includes("/") && sources.has(name);
}

for (const document of documents) {
  test(`every file that ${document} names is there`, () => {
    const text = readFileSync(join(root, document), "utf8");
    assert.deepEqual(
      namedFiles(text).filter((name) => !exists(name)),
      [],
    );
  });
}

test("control: a file that is not there is found, a pattern is not taken for one", () => {
  const text = "See `src/tasks/task.ts`, tasks/nowhere.ts (and settled-never.ts). Not: src/*/<noun>.ts, $TUTTI_HOME/server.json, `gone/`.";
  assert.deepEqual(namedFiles(text), ["src/tasks/task.ts", "tasks/nowhere.ts", "settled-never.ts", "gone/"]);
  assert.deepEqual(
    namedFiles(text).filter((name) => !exists(name)),
    ["tasks/nowhere.ts", "settled-never.ts", "gone/"],
  );
});

test("every script that the documents name is one of package.json", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const text = documents.map((document) => readFileSync(join(root, document), "utf8")).join("\n");
  const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name ?? "");
  assert.deepEqual(
    named.filter((name) => !scripts[name]),
    [],
  );
});
