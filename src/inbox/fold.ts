import type { OpenApproval } from "./store.ts";

/** Open questions that ask for the same thing of the same agent in the same project: one item. */
export interface Folded {
  /** The oldest one's id: it stays when others join. */
  id: string;
  kind: OpenApproval["kind"];
  project: string;
  since: number;
  newest: number;
  ids: string[];
}

/** Folds permission requests; questions of flows stay single, each is about its own run. `approvals` come the oldest first. Pure. */
export function fold(approvals: readonly OpenApproval[], signatures: ReadonlyMap<string, string>): Folded[] {
  const folded = new Map<string, Folded>();
  for (const { id, kind, project, agent, hash, created_at: at } of approvals) {
    const key = kind === "ask" ? id : JSON.stringify([project, agent, signatures.get(hash) ?? hash]);
    const group = folded.get(key);
    if (group) {
      group.ids.push(id);
      group.newest = at;
    } else folded.set(key, { id, kind, project, since: at, newest: at, ids: [id] });
  }
  return [...folded.values()];
}

/** Those that could fold with another one at all: the others need not be looked into. */
export function foldable(approvals: readonly OpenApproval[]): OpenApproval[] {
  const counts = new Map<string, number>();
  const keyOf = ({ project, agent }: OpenApproval): string => JSON.stringify([project, agent]);
  const permissions = approvals.filter(({ kind }) => kind === "permission");
  for (const approval of permissions) counts.set(keyOf(approval), (counts.get(keyOf(approval)) ?? 0) + 1);
  return permissions.filter((approval) => (counts.get(keyOf(approval)) ?? 0) > 1);
}
