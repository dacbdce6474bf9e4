import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { compileFlow } from "./compile.ts";
import { Flow } from "./flow.ts";
import { lintText } from "./lint.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

function assertCompiles(source: string, file: string): void {
  const folder = join(root, dirname(file));
  const { flow, problems } = compileFlow(source, {
    file,
    readFile: (path) => (existsSync(join(folder, path)) ? readFileSync(join(folder, path), "utf8") : null),
  });
  assert.equal(lintText(problems), "");
  assert.deepEqual(Flow.parse(flow), flow);
}

const examples = globSync("examples/**/*.yaml", { cwd: root, exclude: ["examples/sample/**"] });

for (const file of examples) test(`${file} compiles`, () => assertCompiles(read(file), file));

test("the examples are there", () => {
  for (const name of ["fix-bugs", "release-notes"]) assert.ok(examples.includes(join("examples", name, "flow.yaml")), name);
});

const blocks = [...read("docs/flows.md").matchAll(/^```yaml flow\n([^]*?)^```$/gm)].map((match) => match[1] ?? "");

test("the flows in the documentation compile, and the first is the example itself", () => {
  assert.equal(blocks.length, 3);
  assert.equal(blocks[0], read("examples/fix-bugs/flow.yaml"));
  for (const block of blocks) assertCompiles(block, "examples/fix-bugs/in-the-documentation.yaml");
});
