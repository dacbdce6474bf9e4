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

export interface GoesOn {
  /** The commit that the session's work started from. */
  base: string;
  /** Its last snapshot: a clone that is made anew begins there. */
  commit: string;
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
    /**
     * Where the session stands when it has work already. A clone that lies here and neither made that commit nor was made from it is
     * older than the session (another home had it in between): it is kept under `refs/keep/<session>.<time>` and makes room for a new one.
     */
    goesOn?: GoesOn | null;
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
  /** Whether this home has the commit; false also while it has nothing of the repository yet. */
  has(repository: Repository, commit: string): Promise<boolean>;
  /**
   * A commit of this home as bytes for another one, or null when the base branch has it: every home can fetch that by itself.
   * Rejects with AppError not_found; what goes wrong later (too_large, failed) is thrown to the reader of the bytes.
   */
  pack(options: { repository: Repository; commit: string; signal?: AbortSignal }): Promise<AsyncIterable<Uint8Array> | null>;
  /**
   * Takes what `pack` gave in another home, without trusting it, and keeps it under refs/tutti/packs/<commit>; harmless twice.
   * Throws AppError check_failed for anything but a sound pack of this commit, not_found when the person's repository does not have
   * what it builds on, too_large, timed_out, disk_full. Nothing is left of what is refused.
   */
  unpack(options: { repository: Repository; commit: string; bytes: AsyncIterable<Uint8Array>; signal?: AbortSignal }): Promise<void>;
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
  /** The project's whole mirror as bytes, all its refs: a git bundle, for a backup. null when there is nothing in it yet. */
  bundle(repository: Repository): Promise<AsyncIterable<Uint8Array> | null>;
  /** Makes the mirror of what `bundle` gave, each object checked. Throws AppError conflict when there is one, check_failed for damaged bytes. */
  unbundle(repository: Repository, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** Those of the commits that the project's mirror does not have. */
  missing(repository: Repository, commits: readonly string[]): Promise<string[]>;
}
