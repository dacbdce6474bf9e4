import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { z } from "zod";

/**
 * One guard, taken out: a text of a source file, what to put in its place, and the tests of which one must turn red. `only`, a part of
 * a test's name, spares long files their other tests.
 */
const Mutant = z.strictObject({
  name: z.string().min(1),
  file: z.string().regex(/^(?:dashboard\/)?src\//),
  find: z.string().min(1),
  replace: z.string(),
  test: z.array(z.string().endsWith(".test.ts")).min(1),
  only: z.string().min(1).optional(),
});
export type Mutant = z.infer<typeof Mutant>;

export function readMutants(root: string): Mutant[] {
  return z.array(Mutant).parse(JSON.parse(readFileSync(join(root, "scripts/mutants.json"), "utf8")));
}

/** The source with the guard taken out. Throws when the text does not stand there exactly once, or the result is no program. */
export function applyMutant(mutant: Mutant, source: string): string {
  const times = source.split(mutant.find).length - 1;
  if (times !== 1) throw new Error(`"${mutant.name}": its text stands ${times} times in ${mutant.file}, not once: ${mutant.find}`);
  const mutated = source.replace(mutant.find, () => mutant.replace);
  if (mutated === source) throw new Error(`"${mutant.name}" changes nothing in ${mutant.file}`);
  // Node cannot read JSX; a page that is no program turns its test red by itself, before any test of it ran.
  if (mutant.file.endsWith(".tsx")) return mutated;
  try {
    stripTypeScriptTypes(mutated);
  } catch (error) {
    throw new Error(`"${mutant.name}" leaves no valid program in ${mutant.file}`, { cause: error });
  }
  return mutated;
}

/** What is wrong with the list, before anything runs. */
export function problemsOf(mutants: Mutant[], root: string): string[] {
  const names = mutants.map((mutant) => mutant.name);
  const twice = names.filter((name, index) => names.indexOf(name) !== index).map((name) => `two mutants are called "${name}"`);
  return [...twice, ...mutants.flatMap((mutant) => problemOf(mutant, root))];
}

function problemOf(mutant: Mutant, root: string): string[] {
  try {
    const tests = mutant.test.map((test) => readFileSync(join(root, test), "utf8"));
    if (mutant.only !== undefined && !tests.some((text) => text.includes(mutant.only ?? "")))
      return [`"${mutant.name}": no test of ${mutant.test.join(", ")} is called "${mutant.only}"`];
    applyMutant(mutant, readFileSync(join(root, mutant.file), "utf8"));
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}
