import { join } from "node:path";
import { listApprovalsOf, toApproval } from "../approvals/store.ts";
import type { Reader } from "../db/plan.ts";
import { firstFailures, type FirstFailure } from "../flows/overview.ts";
import { fold, foldable } from "./fold.ts";
import { groups, isOpen, isUnseen, type InboxCounts, type InboxGroup, type InboxItem } from "./inbox.ts";
import { actionLine, judge } from "./risk.ts";
import {
  countWaiting,
  listItemRuns,
  listItemTasks,
  listMarks,
  listOpenApprovals,
  listSignedOut,
  listSignedOutAgents,
  listStuck,
  listWaiting,
  projectNames,
  signaturesOf,
  type ItemRun,
  type ItemTask,
} from "./store.ts";

/** An item before it is dressed: where it stands, and what it is about. */
interface Entry {
  id: string;
  group: InboxGroup;
  about: "approval" | "task" | "run";
  since: number;
  newest: number;
  /** Approval ids, the oldest first. */
  folded: string[];
  waiting: number;
}

interface Options {
  read: Reader;
  project: string | null;
  now: number;
}

/** A place in the inbox: behind the item `id` of `group`. */
export interface Place {
  group: InboxGroup;
  at: number;
  id: string;
}

const blocked = { group: "blocked" as const, about: "task" as const, folded: [] as string[] };

/** Everything that keeps work from going on, marked or not, the oldest first. */
export async function listBlocked(read: Reader, project: string | null): Promise<(Entry & { project: string })[]> {
  const [approvals, stuck, signedOut] = await Promise.all([
    listOpenApprovals(read, project),
    listStuck(read, project),
    listSignedOut(read, project),
  ]);
  const folded = fold(approvals, await signaturesOf(read, foldable(approvals)));
  const entries = [
    ...folded.map(({ ids, kind: _kind, ...place }) => ({
      ...place,
      ...blocked,
      about: "approval" as const,
      folded: ids,
      waiting: ids.length,
    })),
    ...stuck.map(({ id, project: of, since }) => ({ id, project: of, since, newest: since, ...blocked, waiting: 1 })),
    ...signedOut.map(({ id, project: of, since, newest, waiting }) => ({
      id,
      project: of,
      since,
      newest,
      ...blocked,
      waiting: Number(waiting),
    })),
  ];
  return entries.toSorted((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1));
}

export interface InboxPage {
  counts: InboxCounts;
  items: InboxItem[];
  /** Where the next page begins; null: this was the last. */
  next: Place | null;
}

/** A page of the inbox in the order of attention, with the exact counts of all of it. */
export async function listInbox(
  options: Options & { home: string; group: InboxGroup | null; after: Place | null; limit: number },
): Promise<InboxPage> {
  const { read, project, now, group, after, limit } = options;
  const range = { project, now };
  const [everything, review, failed] = await Promise.all([
    listBlocked(read, project),
    countWaiting(read, "review", range),
    countWaiting(read, "failed", range),
  ]);
  const marks = await listMarks(
    read,
    everything.map(({ id }) => id),
  );
  const open = everything.filter((entry) => isOpen(marks.get(entry.id) ?? null, entry, now));
  const counts = { blocked: open.length, review, failed, total: open.length + review };
  const entries: Entry[] = [];
  if (isWanted("blocked", group, after)) entries.push(...open.filter((entry) => isBehind(entry, after)).slice(0, limit + 1));
  for (const next of ["review", "failed"] as const) {
    if (entries.length > limit || !isWanted(next, group, after)) continue;
    const before = after?.group === next ? after : null;
    const rows = await listWaiting(read, next, { ...range, before, limit: limit + 1 - entries.length });
    entries.push(
      ...rows.map(({ id, kind, since }): Entry => ({
        id,
        group: next,
        about: kind,
        since,
        newest: since,
        folded: [],
        waiting: 1,
      })),
    );
  }
  const shown = entries.slice(0, limit);
  const last = shown.at(-1);
  const next = entries.length > limit && last ? { group: last.group, at: last.since, id: last.id } : null;
  return { counts, items: await dress(read, options.home, shown), next };
}

const isWanted = (group: InboxGroup, only: InboxGroup | null, after: Place | null): boolean =>
  (only === null || only === group) && (after === null || groups.indexOf(group) >= groups.indexOf(after.group));

const isBehind = ({ since, id }: Entry, after: Place | null): boolean =>
  after?.group !== "blocked" || since > after.at || (since === after.at && id > after.id);

/** Loads what is shown of each, in a handful of reads for the whole page. */
async function dress(read: Reader, home: string, entries: Entry[]): Promise<InboxItem[]> {
  const of = (about: Entry["about"]): string[] => entries.filter((entry) => entry.about === about).map(({ id }) => id);
  const [approvals, runs, failures, marks] = await Promise.all([
    listApprovalsOf(read, of("approval")),
    listItemRuns(read, of("run")),
    firstFailures(read, of("run")),
    listMarks(
      read,
      entries.map(({ id }) => id),
    ),
  ]);
  const askedBy = approvals.flatMap(({ task }) => (task === null ? [] : [task]));
  const tasks = new Map((await listItemTasks(read, [...of("task"), ...askedBy])).map((task) => [task.id, task]));
  const byApproval = new Map(approvals.map((row) => [row.id, toApproval(row)]));
  const byRun = new Map(runs.map((run) => [run.id, run]));
  const names = await projectNames(
    read,
    [...approvals, ...runs, ...tasks.values()].map(({ project }) => project),
  );
  const signIn = entries.some(({ id, about }) => about === "task" && tasks.get(id)?.reason === "signed out")
    ? await signInHint(read)
    : null;
  return entries.flatMap((entry) => {
    const { about, id, newest } = entry;
    const seen = { unseen: isUnseen(marks.get(id) ?? null, newest), since: entry.since, group: entry.group, id, folded: entry.folded };
    const own = (project: string) => ({ project, projectName: names.get(project) ?? project });
    if (about === "approval") {
      const approval = byApproval.get(id);
      if (!approval) return []; // answered since
      const task = approval.task === null ? undefined : tasks.get(approval.task);
      return { ...ofApproval(approval, home, task), ...own(approval.project), ...seen, waiting: entry.waiting };
    }
    if (about === "run") {
      const run = byRun.get(id);
      return run ? { ...ofRun(run, failures.get(id) ?? null), ...own(run.project), ...seen, waiting: 1 } : [];
    }
    const task = tasks.get(id);
    return task ? { ...ofTask(task, entry, signIn), ...own(task.project), ...seen, waiting: entry.waiting } : [];
  });
}

type Dressed = Omit<InboxItem, "id" | "project" | "projectName" | "since" | "group" | "folded" | "waiting" | "unseen">;

const bare = { approval: null, options: [], risk: null, risks: [], hash: null, verified: null };

function ofApproval(approval: ReturnType<typeof toApproval>, home: string, task: ItemTask | undefined): Dressed {
  const { id, kind, run, step, session, agent, question, options, hash } = approval;
  const common = { ...bare, agent, task: approval.task, run, step, session, approval: id, options, hash };
  if (kind === "ask") return { ...common, kind: "question", title: question, reason: "question", message: null };
  const { tool, action } = approval.action as { tool: string; action: unknown };
  // The clone's place is the same inside of the sandbox and outside.
  const judged = judge(tool, action, session === null ? null : join(home, "sessions", session, "work"));
  const message = task ? `${question}, for: ${task.title}` : question;
  return { ...common, kind: "permission", title: actionLine(tool, action), reason: "approval", message, ...judged };
}

function ofRun({ id, flow, reason, message }: ItemRun, failure: FirstFailure | null): Dressed {
  const why = failure === null ? message : [`step ${failure.step}`, failure.message ?? failure.reason].filter(Boolean).join(": ");
  const task = failure?.task ?? null;
  return {
    ...bare,
    kind: "failed run",
    title: flow,
    agent: null,
    task,
    run: id,
    step: failure?.step ?? null,
    session: null,
    reason,
    message: why,
  };
}

function ofTask(task: ItemTask, { group, waiting }: Entry, signIn: string | null): Dressed {
  const { id, run, step, agent, session, reason, message, title } = task;
  const verified = task.verified === null ? null : task.verified === 1;
  const common = { ...bare, title, agent, task: id, run, step, session, reason, verified };
  if (group === "failed") return { ...common, kind: "failed task", message };
  if (group === "review") {
    const where = task.state === "cancelled" ? "the merge was stopped" : task.branch === null ? null : `on branch ${task.branch}`;
    return { ...common, kind: "review", message: task.note ?? where };
  }
  if (reason === "signed out") {
    const others = waiting > 1 ? `${waiting} tasks wait for a sign-in` : title;
    return { ...common, kind: "sign-in", title: others, message: signIn ?? message };
  }
  return { ...common, kind: reason === "quota" ? "quota" : reason === "approval" ? "permission" : "question", message };
}

/** Which agents are signed out, each with what mends it, as detection found. */
async function signInHint(read: Reader): Promise<string | null> {
  const agents = await listSignedOutAgents(read);
  const hints = agents.map(({ name, detection }) => {
    const { fix } = JSON.parse(detection) as { fix: string | null };
    return fix ? `${name} is signed out: ${fix}` : `${name} is signed out`;
  });
  return hints.length > 0 ? hints.join("; ") : null;
}
