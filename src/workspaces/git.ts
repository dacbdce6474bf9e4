import { chmodSync, lstatSync, mkdirSync, readlinkSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../errors.ts";
import { findProgram } from "../processes/program.ts";
import { runCommand, streamCommand, type CommandEnd } from "./command.ts";
import { shellWord } from "./names.ts";

/**
 * The only place that starts git. There are two ways:
 *
 * - `run`: git on what we trust: the mirror, and the person's own repository (with its hooks and its file system monitor off).
 * - `inside`: everything that reads an agent's clone. With bubblewrap, git (or find) sees the programs of the machine, the
 *   folders that are named, and nothing else: no home, no network, no other repository. Whatever a hostile clone makes it do
 *   or read stays in there. Without bubblewrap the same commands run with the same configuration but not confined; an agent
 *   that nothing confines can run programs as the person anyway.
 *
 * The environment is ours alone, and `git.config` takes the place of all configuration of the system and the person. What a
 * repository's own configuration could still set to a program is overridden on every command line.
 */
export interface Limits {
  /** A file of a snapshot larger than this is left out (and named). Bytes. */
  fileBytes: number;
  /** What one snapshot may bring into the mirror, as stored by git. Bytes. */
  snapshotBytes: number;
  /** Memory of one confined git. Bytes. */
  memoryBytes: number;
  /** The time of one command that reads an agent's clone. */
  confinedMs: number;
  /** The time of any other command. */
  trustedMs: number;
  /** The most that `.worktreeinclude` may copy. Bytes. */
  includeBytes: number;
}

export const defaultLimits: Limits = {
  fileBytes: 100 * 1024 ** 2,
  snapshotBytes: 1024 ** 3,
  memoryBytes: 4 * 1024 ** 3,
  confinedMs: 120_000,
  trustedMs: 30 * 60_000,
  includeBytes: 1024 ** 3,
};

export interface RunOptions {
  /** For what must begin there (a clone as the work tree); else Tutti's home, where nothing can be found by discovery. */
  cwd?: string;
  /** Added to our environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  input?: string | Uint8Array;
  /** Exit codes that are answers and not failures. 0 always is. */
  ok?: readonly number[];
  maxBytes?: number;
  whenFull?: "fail" | "cut";
  timeoutMs?: number;
  signal?: AbortSignal;
}

export interface InsideOptions extends RunOptions {
  readable: readonly string[];
  writable: readonly string[];
  /** A shell script (a constant, never data) that gets `words` and then git with its options as its arguments. */
  script?: { text: string; words: readonly string[] };
}

export interface ConfinedFetch {
  /** The repository that fetches. */
  gitDir: string;
  /** The repository that is not trusted. */
  from: string;
  /** The one folder that upload-pack sees beside it. */
  objects: string;
  refspecs: readonly string[];
  signal?: AbortSignal;
}

export interface Git {
  readonly home: string;
  readonly limits: Limits;
  /** Runs `git <args>` on trusted repositories. Throws GitError when it fails. */
  run(args: readonly string[], options?: RunOptions): Promise<CommandEnd>;
  /** The output of `run` as it comes, for what need not fit into memory. Throws GitError when git fails, at the end. */
  stream(args: readonly string[], options?: Omit<RunOptions, "ok" | "whenFull">): AsyncIterable<Uint8Array>;
  /** The trimmed output of `run`, or null when git exits with 1 ("no such thing", where git says it so). */
  text(args: readonly string[], options?: RunOptions): Promise<string | null>;
  /** Runs git or find confined to the named folders, with limits of file size and memory. */
  inside(argv: readonly ["git" | "find", ...string[]], options: InsideOptions): Promise<CommandEnd>;
  /** What makes `git fetch` read a repository that an agent (or confined git) has written: a confined upload-pack with limits. */
  fetchConfined(options: ConfinedFetch): Promise<void>;
  readonly confined: boolean;
}

export class GitError extends AppError {
  readonly stderr: string;

  constructor(verb: string, end: Omit<CommandEnd, "stdout" | "cut">) {
    const lines = end.stderr.split("\n").map((line) => line.trim());
    const said = lines.filter((line) => line !== "" && !line.startsWith("hint:"));
    const last = said.findLast((line) => /^(fatal|error):/.test(line)) ?? said.at(-1);
    const why = last?.slice(0, 500) ?? (end.code === null ? `it was ended by ${end.signal}` : `exit code ${end.code}`);
    const code = reasonOf(end);
    const fix = code === "disk_full" ? ["free some space, then try again"] : [];
    super(code, `git ${verb} failed`, { why: code === "too_large" ? "it wrote more than the limit for one snapshot" : why, fix });
    this.stderr = end.stderr;
  }
}

function reasonOf(end: { stderr: string }): "disk_full" | "too_large" | "failed" {
  if (/no space left on device|disk quota exceeded/i.test(end.stderr)) return "disk_full";
  return /file too large/i.test(end.stderr) ? "too_large" : "failed";
}

// Whatever a repository's own configuration may set to a program or an address, set back. The command line wins over every file.
const overrides = [
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.attributesFile", "/dev/null"],
  ["core.alternateRefsCommand", "true"],
  ["core.sshCommand", "false"],
  ["core.askPass", "true"],
  ["core.pager", "cat"],
  ["core.editor", "true"],
  ["core.quotePath", "false"],
  ["core.protectHFS", "true"],
  ["core.protectNTFS", "true"],
  ["color.ui", "false"],
  ["commit.gpgSign", "false"],
  ["log.showSignature", "false"],
  ["merge.verifySignatures", "false"],
  ["submodule.recurse", "false"],
  ["fetch.recurseSubmodules", "false"],
  ["fetch.fsckObjects", "false"],
  ["fetch.writeCommitGraph", "false"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["credential.helper", ""],
  ["push.gpgSign", "false"],
].flatMap(([key, value]) => ["-c", `${key}=${value}`]);

// A confined git works on what an agent made: everything that arrives is checked (which also makes git
// write packs as one file each, so that the limit of file size holds), and only a part of a pack is mapped into memory.
const carefulOverrides = [
  ["fetch.fsckObjects", "true"],
  ["core.bigFileThreshold", "16m"],
  ["core.packedGitWindowSize", "64m"],
  ["core.packedGitLimit", "512m"],
  ["core.deltaBaseCacheLimit", "64m"],
  ["core.fileMode", "true"],
  ["core.symlinks", "true"],
  ["core.ignoreCase", "false"],
  ["core.precomposeUnicode", "false"],
  ["core.autocrlf", "false"],
  ["core.safecrlf", "false"],
  ["core.sparseCheckout", "false"],
  ["core.splitIndex", "false"],
  ["core.untrackedCache", "false"],
  ["core.excludesFile", "/dev/null"],
  ["index.threads", "1"],
  ["pack.threads", "1"],
  ["checkout.workers", "1"],
].flatMap(([key, value]) => ["-c", `${key}=${value}`]);

// safe.directory and safe.bareRepository are read from protected configuration only, and upload-pack, which git starts by
// itself, does not get the command line's: both are the reason for this file.
const configuration = `# Written by Tutti at every start; it takes the place of the system's and the person's configuration.
[safe]
	directory = *
	bareRepository = explicit
[core]
	hooksPath = /dev/null
	fsmonitor = false
	attributesFile = /dev/null
	excludesFile = /dev/null
[protocol]
	allow = never
[protocol "file"]
	allow = always
[gc]
	auto = 0
[maintenance]
	auto = false
[init]
	defaultBranch = main
[submodule]
	recurse = false
`;

// The limits are set by the shell that then becomes the program: no other portable way sets them for a child alone.
// A limit of file size that cannot be set ends it; the one of memory does not exist everywhere. With its signal ignored, git says
// "File too large" instead of dying without a word.
const limitScript = 'trap "" XFSZ; ulimit -c 0; ulimit -f "$1" || exit 126; ulimit -v "$2" 2>/dev/null; shift 2; exec "$@"';

/**
 * Writes `git.config` and the upload-pack wrapper into `home` and finds the programs in `path`.
 * Throws AppError failed when git is missing or older than 2.38 (merge-tree --write-tree), or bubblewrap is wanted and missing.
 */
export async function openGit(options: { home: string; path: string; sandbox: "bubblewrap" | "none"; limits: Limits }): Promise<Git> {
  const { path, limits } = options;
  mkdirSync(options.home, { recursive: true, mode: 0o700 });
  const home = realpathSync(options.home);
  const config = join(home, "git.config");
  replaceFile(config, configuration, 0o600);

  const git = findProgram("git", path);
  if (git === null) {
    throw new AppError("failed", "git was not found", { why: `no git in ${path}`, fix: ["apt-get install git", "brew install git"] });
  }
  const bwrap = options.sandbox === "bubblewrap" ? findProgram("bwrap", path) : null;
  if (options.sandbox === "bubblewrap" && bwrap === null) {
    throw new AppError("failed", "bubblewrap was not found", { why: `no bwrap in ${path}`, fix: ["apt-get install bubblewrap"] });
  }

  const environment = {
    PATH: path,
    HOME: "/dev/null",
    XDG_CONFIG_HOME: "/dev/null",
    LC_ALL: "C",
    GIT_CONFIG_GLOBAL: config,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ALLOW_PROTOCOL: "file",
    GIT_PAGER: "cat",
    GIT_MERGE_AUTOEDIT: "no",
  };

  const run = async (args: readonly string[], given: RunOptions = {}): Promise<CommandEnd> => {
    const end = await runCommand({
      argv: [git, ...overrides, ...args],
      cwd: given.cwd ?? home,
      env: { ...environment, ...given.env },
      input: given.input,
      timeoutMs: given.timeoutMs ?? limits.trustedMs,
      maxBytes: given.maxBytes ?? 256 * 1024 ** 2,
      whenFull: given.whenFull ?? "fail",
      signal: given.signal,
    });
    return succeeded(args, end, given.ok);
  };

  async function* stream(args: readonly string[], given: Omit<RunOptions, "ok" | "whenFull"> = {}): AsyncGenerator<Uint8Array> {
    const end = yield* streamCommand({
      argv: [git ?? "", ...overrides, ...args],
      cwd: given.cwd ?? home,
      env: { ...environment, ...given.env },
      input: given.input,
      timeoutMs: given.timeoutMs ?? limits.trustedMs,
      maxBytes: given.maxBytes ?? Infinity,
      signal: given.signal,
    });
    succeeded(args, end);
  }

  const version = (await run(["version"])).stdout.toString("utf8").trim();
  const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(version) ?? [];
  if (Number(major) < 2 || (Number(major) === 2 && Number(minor) < 38)) {
    throw new AppError("failed", "this git is too old", { why: `2.38 or newer is needed, ${version} was found`, fix: ["update git"] });
  }
  const execPath = (await run(["--exec-path"])).stdout.toString("utf8").trim();
  const confinement = bwrap === null ? null : [bwrap, ...baseConfinement({ git, execPath, config })];

  const wrapper = join(home, "upload-pack");
  replaceFile(wrapper, wrapperScript(confinement), 0o700);

  const limited = (argv: readonly string[]): string[] => {
    const blocks = Math.ceil(limits.snapshotBytes / 512);
    const kilobytes = Math.ceil(limits.memoryBytes / 1024);
    return ["/bin/sh", "-c", limitScript, "sh", String(blocks), String(kilobytes), ...argv];
  };

  const inside = async (argv: readonly ["git" | "find", ...string[]], given: InsideOptions): Promise<CommandEnd> => {
    const cwd = given.cwd ?? "/";
    const [program, ...args] = argv;
    const whole = program === "git" ? [git, ...overrides, ...carefulOverrides, ...args] : [program, ...args];
    const command = given.script === undefined ? whole : ["/bin/sh", "-c", given.script.text, "sh", ...given.script.words, ...whole];
    const confined = confinement === null ? command : [...confinement, ...bindings(given), "--chdir", cwd, "--", ...command];
    const end = await runCommand({
      argv: limited(confined),
      cwd: confinement === null ? cwd : home,
      env: { ...environment, ...given.env },
      input: given.input,
      timeoutMs: given.timeoutMs ?? limits.confinedMs,
      maxBytes: given.maxBytes ?? 256 * 1024 ** 2,
      whenFull: given.whenFull ?? "fail",
      signal: given.signal,
    });
    return succeeded(argv, end, given.ok);
  };

  return {
    home,
    limits,
    confined: confinement !== null,
    run,
    stream,
    async text(args, given = {}) {
      const end = await run(args, { ...given, ok: [1] });
      return end.code === 0 ? end.stdout.toString("utf8").trim() : null;
    },
    inside,
    async fetchConfined({ gitDir, from, objects, refspecs, signal }) {
      const args = [
        ...skipList,
        `--git-dir=${gitDir}`,
        "fetch",
        ...fetchFlags,
        `--upload-pack=${shellWord(wrapper)}`,
        "--",
        from,
        ...refspecs,
      ];
      const end = await runCommand({
        argv: limited([git, ...overrides, ...carefulOverrides, ...args]),
        cwd: from,
        env: { ...environment, TUTTI_UPLOAD_FROM: from, TUTTI_UPLOAD_OBJECTS: objects },
        timeoutMs: limits.confinedMs,
        maxBytes: 1024 ** 2,
        whenFull: "fail",
        signal,
      });
      succeeded(["fetch"], end);
    },
  };
}

/** The file `skip` in the current folder (the bench) lists objects that are not checked. git cannot take a path with spaces here. */
export const skipList = ["-c", "fetch.fsck.skipList=skip"];

/** No tags, no submodules, no FETCH_HEAD, no gc: the refs that are named, and nothing else. */
export const fetchFlags = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance"];

function succeeded<End extends Omit<CommandEnd, "stdout" | "cut">>(args: readonly string[], end: End, ok: readonly number[] = []): End {
  if (end.code === 0 || (end.code !== null && ok.includes(end.code))) return end;
  const verb = args.find((arg) => /^[a-z][a-z-]+$/.test(arg) && arg !== "git") ?? "command";
  throw new GitError(verb, end);
}

/** The machine's programs and nothing else: no network, own processes, no homes, a writable /tmp of its own. */
function baseConfinement(programs: { git: string; execPath: string; config: string }): string[] {
  const roots = ["/usr", "/bin", "/lib", "/lib32", "/lib64"];
  const system = roots.flatMap((root) => {
    const kind = lstatSync(root, { throwIfNoEntry: false });
    if (kind === undefined) return [];
    return kind.isSymbolicLink() ? ["--symlink", readlinkSync(root), root] : ["--ro-bind", root, root];
  });
  // A git that is not the system's (/opt, /nix, a brew) lives with its libraries below one folder.
  const foreign = [realpathSync(programs.git), programs.execPath]
    .filter((file) => !file.startsWith("/usr/"))
    .map((file) => dirname(dirname(file)))
    .flatMap((folder) => ["--ro-bind", folder, folder]);
  // Root keeps what reading an unreadable file needs, and no other capability.
  const capabilities = [
    "--cap-drop",
    "ALL",
    ...(process.getuid?.() === 0 ? ["--cap-add", "CAP_DAC_OVERRIDE", "--cap-add", "CAP_FOWNER"] : []),
  ];
  return [
    ["--unshare-all", "--die-with-parent", "--new-session"],
    capabilities,
    system,
    ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"],
    foreign,
    ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ["--ro-bind", programs.config, programs.config],
  ].flat();
}

const bindings = (folders: { readable: readonly string[]; writable: readonly string[] }): string[] => [
  ...folders.readable.flatMap((folder) => ["--ro-bind", folder, folder]),
  ...folders.writable.flatMap((folder) => ["--bind", folder, folder]),
];

/**
 * git starts this instead of git-upload-pack, with the repository as its argument. The folders come by the environment, never
 * by its text. The argument must be the folder that is shown: nothing else exists for it anyway.
 */
function wrapperScript(confinement: readonly string[] | null): string {
  const head = "#!/bin/sh\n# Written by Tutti at every start: serves a repository that an agent can write to `git fetch`.\n";
  if (confinement === null) return `${head}exec git-upload-pack --strict --timeout=60 "$1"\n`;
  const words = confinement.map(shellWord).join(" ");
  const shown = '--ro-bind "$TUTTI_UPLOAD_FROM" "$TUTTI_UPLOAD_FROM" --ro-bind "$TUTTI_UPLOAD_OBJECTS" "$TUTTI_UPLOAD_OBJECTS"';
  return `${head}exec ${words} ${shown} -- git-upload-pack --strict --timeout=60 "$1"\n`;
}

function replaceFile(file: string, content: string, mode: number): void {
  const fresh = `${file}.${process.pid}.new`;
  writeFileSync(fresh, content, { mode });
  chmodSync(fresh, mode);
  renameSync(fresh, file);
}
