import { readFiles, type Behaviour } from "./behaviour.ts";
import { importsOf, look, runTests } from "./repository.ts";
import { namesInTests, regionsOf } from "./suspects.ts";

/** One part of work for each test file that fails, as JSON; says where it looked by naming the files it would repair. */
export function* plan(prompt: string): Behaviour {
  const repository = yield* look();
  const report = repository.testCommand === null ? null : yield* runTests("I run the tests.", repository.testCommand, repository);
  const failing = [...new Set(report?.failures.flatMap(({ file }) => file ?? []))];
  const tests = yield* readFiles("I read the failing tests.", failing);
  const direct = new Map(failing.map((file) => [file, importsOf(file, tests.get(file) ?? "", repository.sources)]));
  const sources = yield* readFiles("I read what they test.", [...new Set([...direct.values()].flat())]);
  const parts = failing.map((test) => {
    const failures = report?.failures.filter(({ file }) => file === test) ?? [];
    const names = namesInTests(tests.get(test) ?? "", failures);
    const files = (direct.get(test) ?? []).filter((path) => namesIn(sources.get(path) ?? "", names).length > 0);
    const suspects = files.length > 0 ? files : (direct.get(test) ?? []);
    const functions = suspects.flatMap((path) => namesIn(sources.get(path) ?? "", names));
    const title = `[demo] Repair ${functions.length > 0 ? functions.join(", ") : test} in ${suspects.join(", ") || test}`;
    return { title, ...(/["'`]test["'`]|\btest:/.test(prompt) ? { test } : {}), files: suspects };
  });
  return JSON.stringify({ parts }, null, 2);
}

/** What the test uses of a source. */
const namesIn = (text: string, used: Set<string>): string[] =>
  regionsOf(text).flatMap(({ names }) => names.filter((name) => used.has(name)));
