import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { applyMutant, problemsOf, readMutants } from "../scripts/testing/mutants.ts";

const root = dirname(import.meta.dirname);
const mutant = { name: "a guard", file: "src/x.ts", find: "if (a < b) throw refuse();", replace: "", test: ["src/x.test.ts"] };

test("every mutant of the list still fits the source, word for word", () => {
  assert.deepEqual(problemsOf(readMutants(root), root), []);
});

test("a mutant whose text is gone, stands twice, or leaves no program is an error", () => {
  const source = `const x: number = 1;\n${mutant.find}\n`;
  assert.equal(applyMutant(mutant, source), "const x: number = 1;\n\n");

  assert.throws(() => applyMutant(mutant, "const x = 1;"), /stands 0 times/);
  assert.throws(() => applyMutant(mutant, source + source), /stands 2 times/);
  assert.throws(() => applyMutant({ ...mutant, replace: mutant.find }, source), /changes nothing/);
  assert.throws(() => applyMutant({ ...mutant, replace: "if (" }, source), /no valid program/);
});

test("a mutant that names a missing file or test, and two of one name, are errors", () => {
  const [missing, twice] = [problemsOf([mutant], root), problemsOf([mutant, mutant], root)];
  assert.match(missing[0] ?? "", /ENOENT/);
  const [real] = readMutants(root);
  assert.ok(real);
  assert.match(problemsOf([{ ...real, only: "a test that nobody wrote" }], root)[0] ?? "", /no test of .* is called/);
  assert.match(twice[0] ?? "", /two mutants are called/);
});
