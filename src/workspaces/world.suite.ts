import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Limits } from "./git.ts";
import { openWorkspaces } from "./open.ts";
import type { Identity, MergeSource, Repository, Snapshot, Workspace, Workspaces } from "./workspace.ts";

/** What the tests of this folder share: a person with a repository, workspaces, and plain git as anybody would run it. */
export interface World {
  root: string;
  /** $TUTTI_HOME */
  home: string;
  /** The person's folder with two files and one commit on main. */
  source: string;
  repository: Repository;
  mirror: string;
  workspaces: Workspaces;
  /** Milliseconds, moved by the tests. */
  clock: { now: number };
  /** Plain git, naive on purpose, with the person's configuration. Resolves to its trimmed output; throws when it fails. */
  git: (cwd: string, ...args: string[]) => string;
  /** The same; whether it worked. */
  works: (cwd: string, ...args: string[]) => boolean;
  open: (session?: string, more?: Partial<Parameters<Workspaces["open"]>[0]>) => Promise<Workspace>;
  snapshot: (workspace: Workspace, turn?: number, session?: string) => Promise<Snapshot>;
  person: Identity;
  sourceOf: (step: string, commit: string | null) => MergeSource;
  /** A program that leaves a trace when it runs, and how to ask for the trace. */
  trap: (name: string) => { program: string; sprung: () => boolean };
  /** Runs a script once, just before git is started with this among its arguments: the person acts between two of our steps. */
  interfere: (verb: string, script: string) => void;
  dispose: () => void;
}

/** git, with the person's hand in it. */
const interferingGit = (root: string): string => `#!/bin/sh
root='${root}'
if [ -e "$root/interference" ]; then
  verb=$(cat "$root/interference-verb")
  case "$*" in
    *"$verb"*) mv "$root/interference" "$root/interfered"; "$root/interfered" >/dev/null 2>&1 || exit 99 ;;
  esac
fi
exec /usr/bin/git "$@"
`;

const person = { name: "Ada Lovelace", email: "ada@example.org" };
const committer = { name: "Tutti (coder)", email: "tutti@localhost" };

export function write(file: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
  chmodSync(file, mode);
}

/** A named pipe, which stops whoever opens it for reading. */
export const makeFifo = (path: string): unknown => execFileSync("/bin/sh", ["-c", 'mkfifo "$1"', "sh", path]);

export async function openWorld(
  options: {
    sandbox?: "bubblewrap" | "none";
    limits?: Partial<Limits>;
    name?: string;
    source?: "folder" | "bare";
    interference?: boolean;
  } = {},
): Promise<World> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), options.name ?? "tutti-workspaces-")));
  const home = join(root, "tutti home");
  const source = join(root, "source");
  const personHome = join(root, "person");
  const clock = { now: Date.UTC(2026, 10, 1, 12) };
  const path = process.env.PATH ?? "";
  const run = (cwd: string, args: string[]) =>
    execFileSync("git", args, {
      cwd,
      env: { PATH: path, HOME: personHome, LC_ALL: "C", GIT_TERMINAL_PROMPT: "0", GIT_EDITOR: "true", GIT_CONFIG_NOSYSTEM: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 20_000,
      maxBuffer: 64 * 1024 ** 2,
    })
      .toString()
      .trim();
  write(
    join(personHome, ".gitconfig"),
    `[user]\n\tname = ${person.name}\n\temail = ${person.email}\n[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n[advice]\n\taddEmbeddedRepo = false\n`,
  );
  mkdirSync(source);
  run(source, ["init", "-q"]);
  write(join(source, "README.md"), "# Sample\n");
  write(join(source, "src/one.js"), "export const one = 1;\n");
  run(source, ["add", "-A"]);
  run(source, ["commit", "-qm", "first"]);
  if (options.source === "bare") {
    run(root, ["clone", "-q", "--bare", source, "bare.git"]);
    rmSync(source, { recursive: true });
    run(root, ["clone", "-q", "--bare", "bare.git", "source"]);
  }

  const shim = join(root, "bin");
  if (options.interference) write(join(shim, "git"), interferingGit(root), 0o755);

  const workspaces = await openWorkspaces({
    home,
    path: options.interference ? `${shim}:${path}` : path,
    sandbox: options.sandbox ?? "bubblewrap",
    now: () => clock.now,
    personHome,
    limits: { confinedMs: 20_000, ...options.limits },
  });
  const repository = { project: "sample", source, baseBranch: "main" };
  const works = (cwd: string, ...args: string[]) => {
    try {
      run(cwd, args);
      return true;
    } catch (error) {
      if ((error as { status?: unknown }).status === undefined) throw error;
      return false;
    }
  };
  return {
    root,
    home,
    source,
    repository,
    mirror: join(home, "repositories", "sample.git"),
    workspaces,
    clock,
    git: (cwd, ...args) => run(cwd, args),
    works,
    open: (session = "s1", more = {}) =>
      workspaces.open({
        repository,
        session,
        branch: `tutti/T-${session}`,
        base: null,
        includeDirty: false,
        sandboxed: options.sandbox !== "none",
        ...more,
      }),
    snapshot: (workspace, turn = 1, session = "s1") =>
      workspaces.snapshot({ repository, workspace, session, turn, author: person, committer, message: `turn ${turn}` }),
    person,
    sourceOf: (step, commit) => ({ step, title: `Result of ${step}`, commit: commit ?? "", agent: "coder" }),
    interfere(verb, script) {
      write(join(root, "interference"), `#!/bin/sh\nset -e\n${script}\n`, 0o755);
      write(join(root, "interference-verb"), verb);
    },
    trap(name) {
      const trace = join(root, `${name}.trace`);
      const program = join(root, `${name}.sh`);
      write(program, `#!/bin/sh\ntouch '${trace}'\nexit 0\n`, 0o755);
      return { program, sprung: () => existsSync(trace) };
    },
    dispose: () => rmSync(root, { recursive: true, force: true }),
  };
}
