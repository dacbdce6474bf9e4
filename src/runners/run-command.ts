import { isArtifactReference, largeBytes, type ArtifactReference, type Artifacts } from "../artifacts/artifact.ts";
import { readOutput } from "../tasks/output.ts";
import type { TaskSpec } from "../tasks/task.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import { failed, identities, lastLines, openWorkspace, setUp, type Attempt } from "./attempt.ts";
import { placeInputs, type Inputs } from "./inputs.ts";
import type { AttemptOutcome } from "./message.ts";
import { startPack } from "./packs.ts";
import { stopCauseOf } from "./stop.ts";
import { streamInClone, type StreamedResult } from "./stream-command.ts";
import { writeTranscript, type TranscriptWriter } from "./transcript.ts";

type RunSpec = Extract<TaskSpec, { kind: "run" }>;

/** In bytes. An output with a schema is read as a whole, so it is no longer than what is read (four million characters). */
const maxSchemaBytes = 12_000_000;

/**
 * A `run` step: one command in a clone of its own, in the sandbox. What it changed is kept like an agent's work. Its result is what it
 * wrote to stdout: a text without the line breaks at its end, or, when it is large, an artifact of exactly those bytes.
 */
export async function runCommand(attempt: Attempt, spec: RunSpec): Promise<AttemptOutcome> {
  const workspace = await openWorkspace(attempt, spec.base, false);
  await attempt.tell("started", { base: workspace.base, notIncluded: workspace.notIncluded });
  const inputs = await placeInputs(attempt, workspace);
  try {
    return await runTurn(attempt, spec, workspace, inputs);
  } finally {
    await inputs.remove();
  }
}

async function runTurn(attempt: Attempt, spec: RunSpec, workspace: Workspace, inputs: Inputs): Promise<AttemptOutcome> {
  const { assignment, tools, repository } = attempt;
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
  const result = await stream(attempt, spec, workspace, inputs, transcript);
  const { code, signal } = result.exit;
  const who = await identities(attempt);
  const message = `${assignment.title}\n\nTutti-Session: ${assignment.session}`;
  const snapshot = await tools.workspaces.snapshot({ repository, workspace, session: assignment.session, turn, ...who, message });
  const output = result.output.kind === "small" ? result.output.bytes.toString("utf8").trimEnd() : result.output.reference;
  const outcome =
    code === 0
      ? ({ kind: "done", output: isArtifactReference(output) ? beginningOf(output) : output } as const)
      : { kind: "failed" as const, cause: "process" as const, message: lastLines(result.shown, 1), retryable: false };
  await startPack(attempt, snapshot.commit, transcript)();
  await transcript.flush();
  await attempt.tell("turn-ended", { turn, outcome, usage: null, commit: snapshot.commit });
  if (stopCauseOf(attempt.signal)) return { kind: "cancelled" };
  const work = { commit: snapshot.commit, base: workspace.base, files: snapshot.files };
  if (code !== 0) return failed("command failed", `exit ${code ?? signal}: ${lastLines(result.shown)}`, work);
  const read = readResult(output, spec);
  if (!read.ok) return failed("output invalid", read.problems.join("; "), work);
  return { kind: "done", output: read.value, ...work, verified: null, branch: null, note: null };
}

async function stream(
  attempt: Attempt,
  spec: RunSpec,
  workspace: Workspace,
  inputs: Inputs,
  transcript: TranscriptWriter,
): Promise<StreamedResult> {
  const argv = typeof spec.run === "string" ? ["sh", "-c", spec.run] : spec.run.map(inputs.fill);
  const env = inputs.fillAll(spec.env);
  const stdin = spec.stdin === undefined ? null : stdinOf(attempt.tools.artifacts, spec.stdin, inputs);
  const maxBytes = spec.output ? maxSchemaBytes : largeBytes;
  const result = await streamInClone(attempt, workspace, { argv, env, stdin, maxBytes });
  transcript.add({ kind: "text", text: result.shown });
  return result;
}

/** A text as it is, a large result as it was given, anything else as JSON. */
async function* stdinOf(artifacts: Artifacts, value: unknown, inputs: Inputs): AsyncGenerator<Uint8Array> {
  if (isArtifactReference(value)) yield* artifacts.open(value.$artifact);
  else yield Buffer.from(inputs.fill(typeof value === "string" ? value : JSON.stringify(value)));
}

function readResult(output: string | ArtifactReference, spec: RunSpec): ReturnType<typeof readOutput> {
  if (!spec.output) return { ok: true, value: output, repaired: [] };
  if (typeof output === "string") return readOutput(output, spec.output);
  return { ok: false, problems: [`the output has ${output.size} bytes, too many to be read as JSON`] };
}

const beginningOf = ({ preview = "", size }: ArtifactReference): string => `${preview}\n[... ${size} bytes in all ...]`;
