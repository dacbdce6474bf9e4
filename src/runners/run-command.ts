import { readOutput } from "../tasks/output.ts";
import type { TaskSpec } from "../tasks/task.ts";
import { failed, identities, lastLines, openWorkspace, runInClone, setUp, type Attempt } from "./attempt.ts";
import type { AttemptOutcome } from "./message.ts";
import { stopCauseOf } from "./stop.ts";
import { writeTranscript } from "./transcript.ts";

type RunSpec = Extract<TaskSpec, { kind: "run" }>;

/** A `run` step: one command in a clone of its own, in the sandbox. What it changed is kept like an agent's work. */
export async function runCommand(attempt: Attempt, spec: RunSpec): Promise<AttemptOutcome> {
  const { assignment, tools, repository } = attempt;
  const workspace = await openWorkspace(attempt, spec.base, false);
  await attempt.tell("started", { base: workspace.base, notIncluded: workspace.notIncluded });
  const argv = typeof spec.run === "string" ? ["sh", "-c", spec.run] : spec.run;
  const shown = typeof spec.run === "string" ? spec.run : JSON.stringify(spec.run);
  const turn = assignment.nextTurn;
  await attempt.tell("turn-started", { turn, prompt: shown });
  const transcript = writeTranscript({
    turn,
    now: tools.now,
    send: (part, entries) => attempt.tell("transcript", { turn, part, entries }),
  });
  await setUp(attempt, workspace, transcript);
  transcript.add({ kind: "prompt", text: shown });
  const result = await runInClone(attempt, workspace, argv, spec.env);
  const { code } = result.exit;
  transcript.add({ kind: "text", text: result.output });
  const who = await identities(attempt);
  const message = `${assignment.title}\n\nTutti-Session: ${assignment.session}`;
  const snapshot = await tools.workspaces.snapshot({ repository, workspace, session: assignment.session, turn, ...who, message });
  const output = result.output.trimEnd();
  const outcome =
    code === 0
      ? ({ kind: "done", output } as const)
      : { kind: "failed" as const, cause: "process" as const, message: lastLines(output, 1), retryable: false };
  await transcript.flush();
  await attempt.tell("turn-ended", { turn, outcome, usage: null, commit: snapshot.commit });
  if (stopCauseOf(attempt.signal)) return { kind: "cancelled" };
  const work = { commit: snapshot.commit, base: workspace.base, files: snapshot.files };
  if (code !== 0) return failed("command failed", `exit ${code ?? result.exit.signal}: ${lastLines(output)}`, work);
  const read = spec.output ? readOutput(output, spec.output) : { ok: true as const, value: output };
  if (!read.ok) return failed("output invalid", read.problems.join("; "), work);
  return { kind: "done", output: read.value, ...work, verified: null, branch: null, note: null };
}
