import type { TaskSpec } from "../tasks/task.ts";
import { failed, lastLines, runInClone, setUp, type Attempt } from "./attempt.ts";
import type { AttemptOutcome } from "./message.ts";
import { bringWork, startPack } from "./packs.ts";

type MergeSpec = Extract<TaskSpec, { kind: "merge" }>;

/** How often a branch that moved while we merged is merged anew. */
const maxRounds = 5;

/**
 * Merge commits are computed in the mirror, the check runs in the sandbox on exactly that tree, and only then is it delivered:
 * all sources or none. Each merge commit carries its step and is looked for first, so that a crash anywhere merges once.
 */
export async function runMerge(attempt: Attempt, spec: MergeSpec): Promise<AttemptOutcome> {
  await attempt.tell("started", { base: null, notIncluded: [] });
  await bringWork(
    attempt,
    spec.sources.map((source) => source.commit),
  );
  const outcome = await mergeRounds(attempt, spec);
  if (attempt.assignment.wantsPacks && (outcome.kind === "done" || outcome.kind === "failed")) {
    // What was delivered need not be packed: the mirror has to see that it was.
    await attempt.tools.workspaces.refresh(attempt.repository);
    await startPack(attempt, outcome.commit, null)();
  }
  return outcome;
}

async function mergeRounds(attempt: Attempt, spec: MergeSpec): Promise<AttemptOutcome> {
  const { assignment, repository, tools } = attempt;
  const into = spec.into ?? repository.baseBranch;
  const author = await tools.workspaces.author(repository);
  for (let round = 0; round < maxRounds; round += 1) {
    await tools.workspaces.refresh(repository);
    const merged = await tools.workspaces.merge({ repository, into, sources: spec.sources, author });
    if (merged.kind === "conflict") {
      const source = spec.sources.find(({ step }) => step === merged.step);
      const work = { commit: source?.commit ?? null, base: null, files: merged.files };
      return failed("merge conflict", `${merged.step} does not fit ${into}: ${merged.files.join(", ")}`, work);
    }
    const result = { output: { commits: merged.commits, into }, commit: merged.commit, base: merged.before, files: [] };
    if (merged.nothingToDo) {
      return { kind: "done", ...result, verified: null, branch: into, note: (await push(attempt, into)) ?? "everything is merged already" };
    }
    const checked = await check(attempt, spec, merged.commit);
    if (checked.passed === false) return failed("check failed", checked.report, { commit: merged.commit, base: merged.before, files: [] });
    const delivery = await tools.workspaces.deliver({
      repository,
      into,
      before: merged.before,
      commit: merged.commit,
      waitingBranch: `tutti/${assignment.label.replace(/^task\//, "").replaceAll("/", "-")}`,
    });
    switch (delivery.kind) {
      case "moved":
        continue;
      case "delivered":
        return { kind: "done", ...result, verified: checked.passed, branch: delivery.branch, note: await push(attempt, into) };
      case "waiting":
        return {
          kind: "done",
          ...result,
          verified: checked.passed,
          branch: delivery.branch,
          note: `${delivery.why}; finish with: ${delivery.command}`,
        };
    }
  }
  return failed("error", `${into} moved ${maxRounds} times while it was merged`, { commit: null, base: null, files: [] }, true);
}

/** To the branch's remote, when the project wants it; answers what to tell the person when that did not work. */
async function push({ assignment, repository, tools }: Attempt, branch: string): Promise<string | null> {
  if (assignment.project.deliver !== "push") return null;
  const pushed = await tools.workspaces.push({ repository, branch });
  switch (pushed.kind) {
    case "pushed":
      return null;
    case "no remote":
      return `${branch} has no remote to push to`;
    case "refused":
      return `${branch} is merged here, but its remote did not take it: ${pushed.why}; finish with: ${pushed.command}`;
  }
}

/** Runs the check on the merged tree, in a clone of its own that is removed afterwards. */
async function check(attempt: Attempt, spec: MergeSpec, commit: string): Promise<{ passed: boolean | null; report: string }> {
  if (!spec.check) return { passed: null, report: "" };
  const { assignment, repository, tools } = attempt;
  const session = `${assignment.session}-check-${commit.slice(0, 12)}`;
  const workspace = await tools.workspaces.open({
    repository,
    session,
    branch: `tutti/check-${commit.slice(0, 12)}`,
    base: commit,
    includeDirty: false,
    sandboxed: assignment.project.sandbox === "default",
  });
  try {
    await setUp(attempt, workspace, null);
    const result = await runInClone(attempt, workspace, ["sh", "-c", spec.check.run], spec.env);
    return { passed: result.exit.code === 0, report: lastLines(result.output, 60) };
  } finally {
    await tools.workspaces.remove({ repository, session });
  }
}
