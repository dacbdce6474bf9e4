import type { AgentConnection, Outcome, SessionSpec, Usage } from "../agents/backend.ts";
import { outputInstructions, readOutput, repairPrompt } from "../tasks/output.ts";
import type { TaskSpec } from "../tasks/task.ts";
import type { Snapshot, Workspace } from "../workspaces/workspace.ts";
import { environmentOf, failed, identities, lastLines, openWorkspace, policyOf, runInClone, setUp, type Attempt } from "./attempt.ts";
import { placeInputs } from "./inputs.ts";
import { linkLogins, loginMounts, type LoginMounts } from "./logins.ts";
import type { AttemptOutcome } from "./message.ts";
import { startPack } from "./packs.ts";
import { writeTranscript, type TranscriptWriter } from "./transcript.ts";

type AgentSpec = Extract<TaskSpec, { kind: "agent" }>;

/** How often an answer that does not fit its schema is given back. */
const outputRetries = 2;

/** An agent works on a task: clone, set-up, turns until output and check are right, and its change on a branch. */
export async function runAgent(attempt: Attempt, spec: AgentSpec): Promise<AttemptOutcome> {
  const { assignment, tools } = attempt;
  const agent = assignment.agent;
  const backend = agent && tools.backends.get(agent.backend);
  if (!agent || !backend) return failed("error", `there is no backend for agent ${agent?.name ?? "(none)"}`);
  const workspace = await openWorkspace(attempt, spec.base, spec.includeDirty);
  await attempt.tell("started", { base: workspace.base, notIncluded: workspace.notIncluded });
  const inputs = await placeInputs(attempt, workspace);
  const given = { ...spec, prompt: inputs.fill(spec.prompt), env: inputs.fillAll(spec.env) };
  const logins = loginMounts(agent, tools.personHome);
  await linkLogins(agent, workspace.home, logins);
  const connection = await backend.open(sessionSpec({ attempt, workspace, spec: given, logins }), attempt.signal);
  attempt.onAnswer((permission, option) => connection.answer(permission, option));
  try {
    return await converse({ attempt, spec: given, workspace, connection });
  } finally {
    await connection.close();
    await inputs.remove();
  }
}

function sessionSpec({
  attempt,
  workspace,
  spec,
  logins,
}: {
  attempt: Attempt;
  workspace: Workspace;
  spec: AgentSpec;
  logins: LoginMounts;
}): SessionSpec {
  const { assignment, tools } = attempt;
  const { agent, session, broker, vendorSession, past } = assignment;
  if (!agent) throw new Error("an agent's session without an agent");
  // The agent's own program alone gets the logins: its checks and the project's set-up need none.
  const policy = policyOf(attempt, workspace);
  const sandbox = policy && { ...policy, writable: [...policy.writable, ...logins.writable] };
  const env = { ...environmentOf(attempt, workspace), ...spec.env };
  return {
    sessionId: session,
    agent,
    cwd: workspace.path,
    home: workspace.home,
    env,
    broker,
    vendorSession,
    past,
    // Without a sandbox nothing may be allowed by itself.
    permissions: sandbox ? agent.settings.permissions : "ask",
    start: (options) => tools.processes.start({ ...options, cwd: workspace.path, session, sandbox }),
  };
}

interface Conversation {
  attempt: Attempt;
  spec: AgentSpec;
  workspace: Workspace;
  connection: AgentConnection;
}

const afterInterruptionElsewhere =
  "An earlier try at this was interrupted in the middle, on another machine. What it had not finished there is not in this folder; what was finished before is.";

const afterInterruption =
  "An earlier try at this was interrupted in the middle. Its unfinished changes are still in this folder: look at them (git status, git diff), and keep or undo them.";

/** What a turn's answer is worth. */
type Verdict =
  | { kind: "good"; value: unknown; verified: boolean | null }
  | { kind: "output"; problems: string[] }
  | { kind: "check"; report: string };

/** Turn after turn until the answer fits its schema and the check passes, or their retries are used up. */
async function converse(talk: Conversation): Promise<AttemptOutcome> {
  const { attempt, spec, workspace } = talk;
  let turn = attempt.assignment.nextTurn;
  const interruption = workspace.existed ? afterInterruption : afterInterruptionElsewhere;
  let text = attempt.assignment.interrupted ? `${interruption}\n\n${spec.prompt}` : spec.prompt;
  let outputsLeft = outputRetries;
  let checksLeft = spec.check?.retry ?? 0;
  for (;;) {
    const { outcome, snapshot, verdict } = await takeTurn(talk, turn, text);
    const work = { commit: snapshot.commit, base: workspace.base, files: snapshot.files };
    if (outcome.kind !== "done") return ofAgent(outcome, work);
    turn += 1;
    switch (verdict?.kind) {
      case "good":
        return { kind: "done", output: verdict.value, ...work, verified: verdict.verified, ...(await publish(attempt, snapshot)) };
      case "output":
        if (outputsLeft === 0) return failed("output invalid", verdict.problems.join("; "), work);
        outputsLeft -= 1;
        text = `${repairPrompt(verdict.problems)}\n\n${outputInstructions(spec.output ?? {})}`;
        break;
      case "check":
        if (checksLeft === 0) return failed("check failed", verdict.report, work);
        checksLeft -= 1;
        text = `The check \`${spec.check?.run}\` does not pass yet. Its output:\n\n${verdict.report}\n\nPlease make it pass.`;
        break;
      case undefined:
        return failed("error", "the turn was not judged", work);
    }
  }
}

/** The answer must fit its schema, and the check must pass: evidence, not word. It runs in the session's own sandbox. */
async function judge({ attempt, spec, workspace }: Conversation, output: string, transcript: TranscriptWriter): Promise<Verdict> {
  const read = spec.output ? readOutput(output, spec.output) : { ok: true as const, value: output };
  if (!read.ok) {
    transcript.add({ kind: "note", text: `The answer does not fit its schema: ${read.problems.join("; ")}` });
    return { kind: "output", problems: read.problems };
  }
  if (!spec.check) return { kind: "good", value: read.value, verified: null };
  const result = await runInClone(attempt, workspace, ["sh", "-c", spec.check.run], spec.env);
  const passed = result.exit.code === 0;
  transcript.add({ kind: "check", name: spec.check.run, state: passed ? "passed" : "failed", text: result.output });
  return passed ? { kind: "good", value: read.value, verified: true } : { kind: "check", report: lastLines(result.output, 60) };
}

function ofAgent(
  outcome: Exclude<Outcome, { kind: "done" }>,
  work: { commit: string | null; base: string | null; files: string[] },
): AttemptOutcome {
  switch (outcome.kind) {
    case "failed":
      return failed("agent failed", outcome.message, work, outcome.retryable);
    case "limited":
      return { kind: "limited", retryAt: outcome.retryAt, message: outcome.message };
    case "needs input":
      return failed("question", outcome.question, work);
    case "cancelled":
      return { kind: "cancelled" };
  }
}

interface TurnEnd {
  outcome: Outcome;
  snapshot: Snapshot;
  verdict: Verdict | null;
}

/** One turn: prompt, everything the agent tells, a snapshot of its work. The snapshot is taken however the turn ended. */
async function takeTurn(talk: Conversation, turn: number, text: string): Promise<TurnEnd> {
  const { attempt, workspace, connection } = talk;
  const { assignment, tools, repository, signal } = attempt;
  await attempt.tell("turn-started", { turn, prompt: text });
  const transcript = writeTranscript({
    turn,
    now: tools.now,
    send: (part, entries) => attempt.tell("transcript", { turn, part, entries }),
  });
  await setUp(attempt, workspace, transcript);
  transcript.add({ kind: "prompt", text });
  let outcome: Outcome = { kind: "failed", cause: "protocol", message: "the turn ended without an outcome", retryable: true };
  let usage: Usage | null = null;
  for await (const event of connection.prompt(text, signal)) {
    switch (event.kind) {
      case "session":
        await attempt.tell("vendor-session", { vendorSession: event.vendorSession });
        break;
      case "text":
      case "thought":
        transcript.add({ kind: event.kind, text: event.text });
        attempt.hint({ turn, of: event.kind, text: event.text });
        break;
      case "tool":
        transcript.add({ kind: "tool", name: event.name, state: event.state, text: toolText(event.input, event.output) });
        attempt.hint({ turn, of: "tool", text: `${event.name} ${event.state}` });
        break;
      case "permission":
        transcript.add({ kind: "permission", name: event.tool, text: JSON.stringify(event.action) });
        await transcript.flush();
        await attempt.tell("permission", { permission: event.id, tool: event.tool, action: event.action, options: event.options });
        break;
      case "usage":
        usage = event.usage;
        break;
      case "outcome":
        outcome = event.outcome;
        break;
    }
  }
  transcript.add({
    kind: "outcome",
    state: outcome.kind,
    text: outcome.kind === "failed" || outcome.kind === "limited" ? outcome.message : "",
  });
  const who = await identities(attempt);
  const message = `${assignment.title}\n\nTutti-Session: ${assignment.session}`;
  const snapshot = await tools.workspaces.snapshot({ repository, workspace, session: assignment.session, turn, ...who, message });
  const tellPack = startPack(attempt, snapshot.commit, transcript);
  const verdict = outcome.kind === "done" ? await judge(talk, outcome.output, transcript) : null;
  await tellPack();
  await transcript.flush();
  await attempt.tell("turn-ended", { turn, outcome, usage, commit: snapshot.commit });
  return { outcome, snapshot, verdict };
}

const toolText = (input: unknown, output: string | null): string =>
  [input === undefined || input === null ? "" : JSON.stringify(input), output ?? ""].filter(Boolean).join("\n");

/** A plain task's change becomes a branch of the person's repository. */
async function publish(
  { assignment, tools, repository }: Attempt,
  snapshot: Snapshot,
): Promise<{ branch: string | null; note: string | null }> {
  if (!assignment.publish || !snapshot.commit) return { branch: null, note: snapshot.commit ? null : "nothing was changed" };
  await tools.workspaces.publish({ repository, branch: assignment.publish, commit: snapshot.commit });
  return { branch: assignment.publish, note: null };
}
