export interface FailedTest {
  name: string;
  /** The test file as the listing has it; null when the output does not tell. */
  file: string | null;
  line: number | null;
}

export interface TestReport {
  passed: boolean;
  /** False when the run was killed: then it says nothing about the tests that did not come to their turn. */
  ended: boolean;
  failures: FailedTest[];
}

/** Reads what a test run printed: the TAP and spec reporters of Node, and of others at least whether it passed and what it names. */
export function parseTestOutput(output: string, testFiles: string[]): TestReport {
  const passed = /\[exit code 0\]\s*$/.test(output);
  if (passed) return { passed, ended: true, failures: [] };
  const ended = /\[exit code \d+\]\s*$/.test(output);
  const failures = [...tapFailures(output, testFiles), ...specFailures(output, testFiles)];
  return { passed, ended, failures: failures.length > 0 ? failures : anyFailures(output, testFiles) };
}

/** Tests that hold others fail with them; only the innermost say where. */
function tapFailures(output: string, testFiles: string[]): FailedTest[] {
  const blocks = [...output.matchAll(/^ *not ok \d+ - (.*)\n( *)---\n([\s\S]*?)\n\2\.\.\./gm)];
  return blocks.flatMap(([, name = "", , details = ""]) => {
    if (/failureType: 'subtestsFailed'/.test(details) || / # (TODO|SKIP)\b/i.test(name)) return [];
    const place = /location: '([^'\n]+):(\d+):\d+'/.exec(details);
    return [{ name, file: fileIn(place?.[1] ?? name, testFiles), line: place ? Number(place[2]) : null }];
  });
}

function specFailures(output: string, testFiles: string[]): FailedTest[] {
  const found = [...output.matchAll(/^test at (\S+):(\d+):\d+\n✖ (.*?)(?: \([\d.]+ms\))?$/gm)];
  return found.map(([, path = "", line, name = ""]) => ({ name, file: fileIn(path, testFiles), line: Number(line) }));
}

/** Another runner: the test files that it names beside an error, else only that something failed. */
function anyFailures(output: string, testFiles: string[]): FailedTest[] {
  const named = testFiles.filter((file) => output.includes(file));
  return named.length > 0
    ? named.map((file) => ({ name: file, file, line: null }))
    : [{ name: "the test command", file: null, line: null }];
}

const fileIn = (path: string, testFiles: string[]): string | null =>
  testFiles.find((file) => path === file || path.endsWith(`/${file}`)) ?? null;
