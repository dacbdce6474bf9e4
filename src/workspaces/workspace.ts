/**
 * The private copy of the repository in which a session works, and everything between it and the person's repository.
 * This folder is the only code that runs git. The mirror (`$TUTTI_HOME/repositories/<project>.git`) is the control plane's
 * own; git never runs with a configuration that an agent can write.
 */
export interface Identity {
  name: string;
  email: string;
}

export interface Workspace {
  /** $TUTTI_HOME/sessions/<id>/work, the agent's clone. */
  path: string;
  /** $TUTTI_HOME/sessions/<id>/home. */
  home: string;
  /** The commit that the work started from. */
  base: string;
  /** The branch checked out in the clone, e.g. tutti/T-1. */
  branch: string;
  /** Paths that are changed in the person's repository and not part of `base`. */
  notIncluded: string[];
  /** True when it was there already (a resumed session). */
  existed: boolean;
}

export interface Snapshot {
  /** The commit with all work, committed by the agent or not; null when nothing differs from the base. */
  commit: string | null;
  /** refs/tutti/<session>/<turn> in the mirror, which keeps it. */
  ref: string;
  /** Paths that differ from the base. */
  files: string[];
}

export interface MergeSource {
  /** `<run>/<step>`, written as the trailer `Tutti-Step` and looked for before merging: once, also across a crash. */
  step: string;
  title: string;
  commit: string;
  /** The agent's name, for the committer line. */
  agent: string;
}

export type MergeResult =
  | { kind: "merged"; commit: string; before: string; commits: string[]; nothingToDo: boolean }
  | { kind: "conflict"; step: string; files: string[] };

export type Delivery =
  /** The person's branch has it now. */
  | { kind: "delivered"; branch: string; how: "update-ref" | "fast-forward" | "push" }
  /** It waits on a branch of the person's repository; `command` finishes it. */
  | { kind: "waiting"; branch: string; why: string; command: string }
  /** The branch moved while we merged: merge again from its new head. */
  | { kind: "moved" };

export type Push =
  | { kind: "pushed"; remote: string }
  /** The remote did not take it; `command` is what the person can run when they have seen to it. */
  | { kind: "refused"; why: string; command: string }
  | { kind: "no remote" };

export interface Repository {
  /** The project's id. */
  project: string;
  /** The person's folder. */
  source: string;
  /** The branch that work starts from and returns to. */
  baseBranch: string;
}

export interface Workspaces {
  /**
   * Looks at a folder before a project is made of it: its top level, its branch, its head.
   * Throws AppError invalid_input when it is missing, not a folder, not git, or has no commit yet (each with its fix).
   */
  inspect(folder: string): Promise<{ top: string; branch: string; head: string; name: string; dirty: string[]; remote: string | null }>;
  /** Makes or updates the mirror from the source. Resolves to the head of the base branch. */
  refresh(repository: Repository): Promise<{ head: string; mirror: string }>;
  /** Makes the session's clone (or finds it again) at `base`, on a branch of its own, with `.worktreeinclude` files copied. */
  open(options: {
    repository: Repository;
    session: string;
    branch: string;
    /** null: the head of the base branch. */
    base: string | null;
    includeDirty: boolean;
    /** False where nothing sandboxes: then objects are copied instead of shared. */
    sandboxed: boolean;
  }): Promise<Workspace>;
  /** Folders that the sandbox must show read-only for this session (the mirror's objects). */
  readable(repository: Repository): string[];
  /** Brings everything of the clone into the mirror as one ref, without trusting anything in the clone. */
  snapshot(options: {
    repository: Repository;
    workspace: Workspace;
    session: string;
    turn: number;
    author: Identity;
    committer: Identity;
    message: string;
    signal?: AbortSignal;
  }): Promise<Snapshot>;
  /** A unified diff between two commits of the mirror. */
  diff(options: { repository: Repository; from: string; to: string; maxBytes?: number }): Promise<string>;
  /** A file of a commit, or null. At most 1 MB. */
  readFile(options: { repository: Repository; commit: string; path: string }): Promise<string | null>;
  /** Computes the merge commits on top of the branch's head, in the mirror; nothing is delivered yet. */
  merge(options: { repository: Repository; into: string; sources: MergeSource[]; author: Identity }): Promise<MergeResult>;
  /** Brings a merged commit to the person's branch: update-ref, fast-forward, push; else it waits on a branch. */
  deliver(options: { repository: Repository; into: string; before: string; commit: string; waitingBranch: string }): Promise<Delivery>;
  /** Pushes a delivered branch to its remote, as the person would, without force. */
  push(options: { repository: Repository; branch: string }): Promise<Push>;
  /** Puts a commit on a branch of the person's repository (a task's result), replacing only what we put there before. */
  publish(options: { repository: Repository; branch: string; commit: string }): Promise<void>;
  /** The person's identity as their repository has it, with an honest default. */
  author(repository: Repository): Promise<Identity>;
  /** Removes the session's clone after keeping its last snapshot under refs/keep/<session>. Never deletes unmerged work. */
  remove(options: { repository: Repository; session: string }): Promise<void>;
}
