import { AppError, errorCodes, isErrorCode, type ErrorCode } from "./errors.ts";
import { Reason } from "./tasks/task.ts";

/**
 * What `tutti explain` says, also without a server: every error code, and every reason that a task, run or step can have for its
 * state. docs/errors.md and the API's description are made from the same texts.
 */
export interface Explained {
  /** What it says, in one sentence. */
  means: string;
  /** When it happens. */
  when: string;
  /** What to do: commands that can be typed as they are, or sentences. The most likely first. */
  fix: string[];
}

const again = "send the same request again in a moment";

export const explainedCodes: Record<ErrorCode, Explained> = {
  invalid_input: {
    means: "The request, or one word of the command line, does not have the form that is asked for.",
    when: "A field is missing, unknown, of another type or out of its bounds; the message names the first, `why` all of them. Nothing was changed.",
    fix: ["look up what it takes: `tutti <verb> --help`, docs/api.md", "tutti flow lint <file>"],
  },
  unauthenticated: {
    means: "The request came without a token, or its token is not good.",
    when: "There is no Authorization header, or the token is unknown, was revoked or has expired. Tokens are needed on this machine too.",
    fix: ["tutti token create <name>", "tutti open"],
  },
  forbidden: {
    means: "The token is good, but not for this.",
    when: "An agent calls what only a person may, or looks at another session; the token lacks the scope; or a browser sends a foreign Host or Origin.",
    fix: [
      "use a token with the scope that `why` names: `tutti token create <name>`",
      "open the dashboard by a local name, or name the host in TUTTI_HOSTS",
    ],
  },
  not_found: {
    means: "What was named does not exist.",
    when: "An id is mistyped, or belongs to another server or another TUTTI_HOME; or there is nothing at the path.",
    fix: ["tutti ls", "tutti ls runs", "tutti status"],
  },
  ambiguous: {
    means: "The name fits more than one thing.",
    when: "A short form was given where several things begin with it.",
    fix: ["write the whole id, as `tutti ls` shows it"],
  },
  method_not_allowed: {
    means: "The path exists, but not for this HTTP method.",
    when: "A command was asked for by GET, or a query by POST. The Allow header has the methods.",
    fix: ["look the operation up in docs/api.md"],
  },
  conflict: {
    means: "It cannot be done in the state that things are in now.",
    when: "A task that is not over is retried or replied to, an approval was answered already, a name is taken, or an agent that has work is removed.",
    fix: ["look at what it is now: `tutti show <id>`"],
  },
  idempotency_mismatch: {
    means: "The Idempotency-Key was used before, with another request.",
    when: "A client takes one key for two different requests. Neither was done twice.",
    fix: ["send the request with a new key"],
  },
  already_running: {
    means: "Another Tutti server has this home, or the port is in use.",
    when: "A server is started while one runs. One home belongs to one process.",
    fix: ["tutti status", "tutti down", "take another port: `TUTTI_PORT=<port> npm start`"],
  },
  too_large: {
    means: "The body, a file or a result is larger than what is taken.",
    when: "A request's body exceeds 4 MB, or a text or file exceeds the bound that the message names.",
    fix: ["split it, or put it into a file of the repository and name that"],
  },
  unsupported_media_type: {
    means: "The body is not JSON.",
    when: "Content-Type is not application/json (UTF-8), or the body is compressed.",
    fix: ["send Content-Type: application/json, without Content-Encoding"],
  },
  agent_unavailable: {
    means: "The agent cannot be used on this machine now.",
    when: "Its program is not installed, not signed in, of an unsupported version, or it did not start.",
    fix: ["tutti agents", "tutti doctor agents"],
  },
  check_failed: {
    means: "A check did not pass.",
    when: "A flow has mistakes (lint), something that Tutti needs is missing (doctor), or a session's work could not be taken over because it is damaged.",
    fix: ["mend what the message names, then try again"],
  },
  failed: {
    means: "The work failed.",
    when: "A task or run that was waited for has failed, or a program that Tutti needs (git, the sandbox) did.",
    fix: ["tutti show <id>", "tutti logs <id>", "tutti retry <id>"],
  },
  limited: {
    means: "A quota or rate limit refuses it for now.",
    when: "A provider's limit is reached. Tasks wait for its reset by themselves.",
    fix: ["wait as long as Retry-After says", "use another provider: `tutti providers`"],
  },
  rate_limited: {
    means: "This token asks faster, or has more streams open, than one token may. Nothing was done.",
    when: "More requests a second than TUTTI_LIMITS allows come with one token (2,000 of a person, 50 of an agent), or a 65th stream is opened.",
    fix: ["wait as long as Retry-After says", "follow events instead of asking again and again: `tutti events --follow`"],
  },
  busy: {
    means: "The server or its store cannot take it at this moment. Nothing was changed.",
    when: "Too many requests are in work, too many changes wait or meet at the same rows, another program holds the store, or the server is stopping.",
    fix: [again, "tutti doctor database"],
  },
  unreachable: {
    means: "No Tutti server answers.",
    when: "It does not run, runs with another TUTTI_HOME, or something else listens at its address; for a server: its database does not answer.",
    fix: ["tutti up", "tutti doctor"],
  },
  timed_out: {
    means: "It did not end in the time that it had.",
    when: "A git command, the server's stop or a wait took longer than its limit. What was started may still go on.",
    fix: ["look whether it ended meanwhile: `tutti status`", again],
  },
  damaged: {
    means: "The store has lost something that it had acknowledged, or its files are damaged.",
    when: "At start (or when PostgreSQL is back) the store is compared with its high-water mark, which lies outside of it. The server does not start on less than there was.",
    fix: [
      "check the disk or volume, and whether an old copy of the store was put in place",
      "tutti restore <backup>   (into an empty home)",
      "tutti verify --accept-loss",
    ],
  },
  disk_full: {
    means: "The disk that holds Tutti's data is full.",
    when: "Something could not be written. What was acknowledged before is safe; what was refused was not done.",
    fix: ["free some space, then try again", "tutti doctor disk"],
  },
  internal: {
    means: "Something went wrong inside the server: a bug of Tutti.",
    when: "An error that nobody foresaw. The answer says nothing of its inside; the server's log has it.",
    fix: ["tutti doctor", "look into $TUTTI_HOME/log/server.log, and report it"],
  },
};

export const explainedReasons: Record<Reason, Explained> = {
  new: {
    means: "It was just created.",
    when: "A task or run is queued; it is assigned within a second when an agent is free.",
    fix: ["wait; tutti status shows what runs"],
  },
  needs: {
    means: "It waits for the tasks or steps that it needs.",
    when: "Something in its `needs` is not done yet.",
    fix: ["tutti show <id>"],
  },
  "no agent": {
    means: "No agent fits.",
    when: "No agent has the name, role and skills that are asked for, or each that has them cannot be used.",
    fix: ["tutti agents", "tutti agents add <name> --backend <kind>", "name another agent: `tutti run --agent <name>`"],
  },
  "no capacity": {
    means: "An agent fits, but all that fit are busy.",
    when: "Each is at its limit of sessions, or the project at its limit of attempts. It starts when one is free.",
    fix: ["wait", "raise the agent's limit: `tutti agent update <name> --limit <n>`"],
  },
  delayed: {
    means: "It waits for the time before which it must not start.",
    when: "It was made with `--delay` or `--not-before`.",
    fix: ["wait"],
  },
  concurrency: {
    means: "As many tasks with its key, or of its flow, run as may at once.",
    when: "It shares a limit with others (`concurrency`). It starts when one of them is over.",
    fix: ["wait", "make it with a higher limit"],
  },
  "circuit open": {
    means: "The agents that fit keep failing and rest for a while.",
    when: "An agent failed five times in a row, or half of its attempts. One trial decides when the rest is over.",
    fix: ["tutti agents", "tutti breaker reset agent:<name>"],
  },
  "no runner": {
    means: "No machine that runs agents is there, or has room.",
    when: "The server has no runner of its own and none is connected, or all are full or draining.",
    fix: ["tutti runner", "tutti doctor"],
  },
  "disk full": {
    means: "The server's disk is nearly full, so nothing new is started.",
    when: "Less than the reserve is free. It goes on by itself when there is space.",
    fix: ["free some space"],
  },
  deadline: {
    means: "It was not over when it had to be.",
    when: "Its `deadline` passed before it was done.",
    fix: ["tutti retry <id>"],
  },
  retry: {
    means: "It waits for its next attempt.",
    when: "An attempt failed in a way that may pass (after 1 s, 4 s ..., three attempts in all), or a person asked for another one.",
    fix: ["wait", "tutti show <id>"],
  },
  interrupted: {
    means: "The server or the runner went away while it was worked on.",
    when: "After a stop, a restart or a crash. The task goes on in the same session and clone.",
    fix: ["nothing: it goes on by itself"],
  },
  idle: {
    means: "The agent is ready and has no work.",
    when: "Nothing that is queued is for it.",
    fix: ['tutti run "<what to do>"'],
  },
  approval: {
    means: "A person must allow something.",
    when: "An agent asks for a permission. The turn stands still until it is answered.",
    fix: ["tutti ls approvals", "tutti approve <id>", "tutti deny <id>"],
  },
  question: {
    means: "A person must answer something.",
    when: "An `ask` step of a flow is reached, or an agent ended its turn with a question.",
    fix: ["tutti ls approvals", "tutti reply <id> <text>"],
  },
  quota: {
    means: "The provider's limit is reached.",
    when: "The provider or agent program answered that the quota or rate is used up. The task goes on at the reset, or looks again after a minute.",
    fix: ["wait", "use another agent or provider: `tutti agents`"],
  },
  "signed out": {
    means: "The agent program wants a sign-in.",
    when: "Detection or the program itself says that nobody is signed in.",
    fix: ["sign in with the program itself, as `tutti agents` says", "tutti agent refresh"],
  },
  "not found": {
    means: "The agent program is not installed.",
    when: "It is not on the server's PATH.",
    fix: ["install it as `tutti agents` says", "tutti agent refresh"],
  },
  "unsupported version": {
    means: "The agent program is too old or too new.",
    when: "Its version is outside of what the preset was made for.",
    fix: ["install the version that `tutti agents` names", "tutti agent refresh"],
  },
  condition: {
    means: "The step's `if` was false, so it was skipped.",
    when: "The condition was looked at when everything that the step needs was over.",
    fix: ["nothing, when that is what the flow means; else change its `if`: tutti flow lint <file>"],
  },
  "need failed": {
    means: "Something that it needs failed or was stopped.",
    when: "A task of its `needs` can never be done any more, or too many items of a group were not done.",
    fix: ["look at what failed: `tutti show <id>`", "tutti retry <id>"],
  },
  "agent failed": {
    means: "The agent said that it failed, or its process died.",
    when: "The program ended in the middle of a turn, broke its protocol, said nothing for too long, or its model answered an error.",
    fix: ["tutti logs <id>", "tutti retry <id>", "tutti doctor agents"],
  },
  "check failed": {
    means: "The check did not pass, also after its retries.",
    when: "The task's or the merge's check command ended with another code than 0. The work is kept, and nothing was merged.",
    fix: ["tutti logs <id>", "tutti diff <id>", "tutti retry <id>"],
  },
  "output invalid": {
    means: "The output did not fit its JSON Schema, also after its retries.",
    when: "A step has an `output` schema, and what the agent or command gave does not fit it; the message names where.",
    fix: ["tutti logs <id>", "ask for less in the schema, or say in the prompt what is wanted"],
  },
  "command failed": {
    means: "A `run` step's command ended with another code than 0.",
    when: "The message has the code and the last lines that it printed.",
    fix: ["tutti logs <id>", "mend the command or what it works on, then: `tutti retry <id>`"],
  },
  "merge conflict": {
    means: "The change does not fit the branch that it goes into.",
    when: "Both changed the same places since the work began; the message has the files. The branch was not touched.",
    fix: ["tutti diff <id>", "tutti retry <id>", "merge the branch of the task by hand"],
  },
  "time limit": {
    means: "The time that it had ran out.",
    when: "`minutes` of the task, step or flow are over. The processes were ended; the work so far is kept.",
    fix: ["give it more: `tutti run --minutes <n>`", "tutti retry <id>"],
  },
  "crash loop": {
    means: "Each attempt died together with its runner, too often.",
    when: "Twelve times the server or runner was gone while this task was worked on: the task itself may be what kills it (memory, disk).",
    fix: ["tutti doctor", "tutti retry <id>"],
  },
  person: {
    means: "A person did that.",
    when: "A person stopped or denied it.",
    fix: ["tutti retry <id>"],
  },
  error: {
    means: "A fault of Tutti or of the machine; `message` has it.",
    when: "Something outside of the work failed: set-up, the sandbox, the repository, an expression of the flow, or a bug.",
    fix: ["tutti show <id>", "tutti doctor", "tutti retry <id>"],
  },
};

export interface Explanation extends Explained {
  kind: "error" | "reason";
  name: string;
  /** Of an error. */
  exitCode: number | null;
  status: number | null;
  retryable: boolean | null;
}

const ofCode = (code: ErrorCode): Explanation => {
  const { exitCode, status, retryable } = new AppError(code, "");
  return { kind: "error", name: code, ...explainedCodes[code], exitCode, status, retryable };
};

const ofReason = (reason: Reason): Explanation => ({
  kind: "reason",
  name: reason,
  ...explainedReasons[reason],
  exitCode: null,
  status: null,
  retryable: null,
});

/** Everything that can be explained: the error codes, then the reasons. */
export const explanations = (): Explanation[] => [...errorCodes.map(ofCode), ...Reason.options.map(ofReason)];

/**
 * What a text names: `not_found` and `E_NOT_FOUND` (also `urn:tutti:error:not_found`) the error, `not found` the reason, whatever
 * the letters' case; where only one of both exists, either way of writing finds it. null for what there is not.
 */
export function explain(text: string): Explanation | null {
  const word = text
    .trim()
    .toLowerCase()
    .replace(/^urn:tutti:error:/, "");
  const code = word.replace(/^e_/, "").replaceAll(/[ -]/g, "_");
  const reason = Reason.safeParse(word.replaceAll(/[_-]/g, " "));
  const isReason = reason.success && (word === reason.data || !isErrorCode(code));
  if (isReason) return ofReason(reason.data);
  return isErrorCode(code) ? ofCode(code) : null;
}
