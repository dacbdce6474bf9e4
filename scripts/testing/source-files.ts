import { basename, dirname } from "node:path";

/** Tests, the suites that several tests share, and the programs that tests start. */
export const isTestFile = (file: string): boolean => /(\.(test|suite|child)|\/fixture)\.ts$/.test(file) || file.startsWith("test/");

/** The same for node:test, which wants patterns. */
export const testFilesOfSource = ["src/**/*.test.ts", "src/**/*.suite.ts", "src/**/*.child.ts", "src/**/fixture.ts"];

/** Called as a noun, but a behaviour: what a runner is, and what is said to it, stands in runners/message.ts. */
const behaviours = ["src/runners/runner.ts"];

/** `src/tasks/task.ts` is what a task is: the file is called as its folder, in the singular. `access` has tokens. */
export function isNounFile(file: string): boolean {
  const folder = basename(dirname(file));
  const name = basename(file, ".ts");
  if (file !== `src/${folder}/${name}.ts` || behaviours.includes(file)) return false;
  return folder === `${name}s` || folder === `${name}es` || file === "src/access/token.ts";
}
