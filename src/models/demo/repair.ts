import { readFiles, type Behaviour, type DemoCall } from "./behaviour.ts";
import { editFor, type Edit } from "./edits.ts";
import { commandFor, importsOf, look, namedIn, runTests, type Repository } from "./repository.ts";
import { candidatesFor, namesInTests, type Candidate } from "./suspects.ts";
import { parseTestOutput, type FailedTest, type TestReport } from "./test-output.ts";

/** With a step each, and some for looking around, it stays below the model calls that a turn may have. */
const mostTries = 45;
/** A change may make a loop endless. */
const tryTimeoutMs = 8_000;

interface Work {
  repository: Repository;
  /** The files as they are now, by this model's own bookkeeping. */
  sources: Map<string, string>;
  baseline: TestReport;
  triesLeft: number;
  changes: string[];
}

/**
 * Repairs what failing tests show, as a very patient person would who understands nothing: one small change after the other,
 * in the functions that the test uses, and the test again after each. Keeps what makes a test file pass without breaking
 * another; takes everything else back.
 */
export function* repair(prompt: string): Behaviour {
  const repository = yield* look();
  if (repository.testCommand === null) return "I found no tests here, and I can only repair what a failing test shows. I changed nothing.";
  const baseline = yield* runTests("I run the tests.", repository.testCommand, repository);
  const wantedTests = namedIn(prompt, repository.tests);
  const failures = baseline.failures.filter(({ file }) => wantedTests.length === 0 || file === null || wantedTests.includes(file));
  if (failures.length === 0)
    return baseline.passed ? "All tests pass already; I changed nothing." : `${wantedTests.join(", ")} passes already; I changed nothing.`;
  const work: Work = { repository, sources: new Map(), baseline, triesLeft: mostTries, changes: [] };
  const said: string[] = [];
  for (const file of new Set(failures.map((failure) => failure.file))) {
    said.push(
      yield* repairFile(
        prompt,
        work,
        failures.filter((failure) => failure.file === file),
      ),
    );
  }
  return said.join("\n");
}

/** Until every test of the file passes; what did not lead there is taken back. */
function* repairFile(prompt: string, work: Work, failures: FailedTest[]): Behaviour {
  const file = failures[0]?.file ?? null;
  const shown = file ?? "the tests";
  const testTexts = yield* readFiles("I read the failing test.", file === null ? [] : [file]);
  yield* readSources(prompt, work, file, testTexts);
  const names = new Set([...testTexts.values()].flatMap((text) => [...namesInTests(text, failures)]));
  const kept: { edit: Edit; candidate: Candidate }[] = [];
  let left = failures;
  const before = work.triesLeft;
  while (left.length > 0) {
    const better = yield* findBetter(work, file, left, names);
    if (better.kind === "stuck") {
      const problem =
        better.problem ??
        (yield* takeBack(
          work,
          kept.map(({ edit }) => edit),
        ));
      return stuck(shown, before - work.triesLeft, better.why, problem);
    }
    kept.push(better);
    left = better.left;
  }
  const changes = kept.map(({ candidate }) => `${candidate.label} in ${candidate.path}${candidate.where ? ` (${candidate.where})` : ""}`);
  work.changes.push(...changes);
  return `I changed ${changes.join(" and ")}: ${shown} passes now. It was found by trying ${before - work.triesLeft} small ${before - work.triesLeft === 1 ? "change" : "changes"}.`;
}

function stuck(shown: string, tries: number, why: string, problem: string | null): string {
  const end = problem === null ? "The files are as they were." : `I could not take a change back, so it is still there: ${problem}`;
  return `I could not repair what ${shown} shows: ${why} after ${tries} small ${tries === 1 ? "change" : "changes"}. ${end}`;
}

/** The sources that the prompt names, or else what the test imports, and what that imports in turn. */
function* readSources(prompt: string, work: Work, file: string | null, testTexts: Map<string, string>): Behaviour<void> {
  const { repository, sources } = work;
  const named = namedIn(prompt, repository.sources);
  let wanted =
    named.length > 0
      ? named
      : file === null
        ? repository.sources.slice(0, 10)
        : importsOf(file, testTexts.get(file) ?? "", repository.sources);
  for (let depth = 0; depth < 3 && wanted.length > 0; depth += 1) {
    const read = yield* readFiles(
      "I read the source.",
      wanted.filter((path) => !sources.has(path)),
    );
    // Of a file that comes in parts only the first is known: it is not touched.
    for (const [path, text] of read) if (!/\n\[lines \d+ to \d+ of \d+; read on with offset \d+\]$/.test(text)) sources.set(path, text);
    wanted = named.length > 0 ? [] : [...read].flatMap(([path, text]) => importsOf(path, text, repository.sources));
  }
}

/** `problem`: why a change that was tried could not be taken back. */
type Found =
  | { kind: "better"; edit: Edit; candidate: Candidate; left: FailedTest[] }
  | { kind: "stuck"; why: string; problem: string | null };

/** The first change with which fewer tests of the file fail and no other test more. */
function* findBetter(work: Work, file: string | null, failing: FailedTest[], names: Set<string>): Behaviour<Found> {
  const command = commandFor(work.repository, file === null ? [] : [file]);
  if (command === null) return { kind: "stuck", why: "there is no command to run the test", problem: null };
  let undo: DemoCall[] = [];
  for (const candidate of candidatesFor(work.sources, names)) {
    const edit = editFor(candidate.path, work.sources.get(candidate.path) ?? "", candidate);
    if (!edit) continue;
    if (work.triesLeft === 0) return yield* giveUp(undo, "nothing helped, and I stop");
    work.triesLeft -= 1;
    const results = yield {
      say: `I try ${candidate.label} in ${candidate.path}.`,
      calls: [...undo, edit.apply, { tool: "shell", input: { command, timeoutMs: tryTimeoutMs } }],
    };
    const refused = results.slice(0, -1).find(({ ok }) => !ok);
    if (refused)
      return {
        kind: "stuck",
        why: `an edit failed (${refused.output})`,
        problem: refused === results[undo.length] ? null : refused.output,
      };
    undo = [edit.revert];
    const report = parseTestOutput(results.at(-1)?.output ?? "", work.repository.tests);
    const left = file === null ? report.failures : report.failures.filter((failure) => failure.file === file || failure.file === null);
    if (!isBetter(left, failing, report) || (yield* breaksOthers(work, file))) continue;
    work.sources.set(candidate.path, edit.after);
    return { kind: "better", edit, candidate, left: report.passed ? [] : left };
  }
  return yield* giveUp(undo, "nothing helped");
}

/** Fewer fail, and none that did not fail before. */
function isBetter(left: FailedTest[], failing: FailedTest[], report: TestReport): boolean {
  if (report.passed) return true;
  return (
    report.ended &&
    left.length > 0 &&
    left.length < failing.length &&
    left.every(({ name }) => failing.some((failure) => failure.name === name))
  );
}

function* breaksOthers(work: Work, file: string | null): Behaviour<boolean> {
  if (work.repository.testCommand === null || file === null) return false;
  const whole = yield* runTests("It helps. I run all tests, whether it breaks another.", work.repository.testCommand, work.repository);
  const known = new Set(work.baseline.failures.map((failure) => `${failure.file}: ${failure.name}`));
  return whole.failures.some((failure) => !known.has(`${failure.file}: ${failure.name}`));
}

function* giveUp(undo: DemoCall[], why: string): Behaviour<Found> {
  if (undo.length === 0) return { kind: "stuck", why, problem: null };
  const [result] = yield { say: "I take my last change back.", calls: undo };
  return { kind: "stuck", why, problem: result?.ok ? null : (result?.output ?? "no result") };
}

/** What helped a little, but not to the end, in the opposite order. */
function* takeBack(work: Work, edits: Edit[]): Behaviour<string | null> {
  if (edits.length === 0) return null;
  const reversed = edits.toReversed();
  const results = yield { say: "I take back what did not lead to the end.", calls: reversed.map(({ revert }) => revert) };
  for (const edit of reversed) work.sources.set(edit.path, edit.before);
  return results.find(({ ok }) => !ok)?.output ?? null;
}
