import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { readdirSync, statSync } from "node:fs";
import { merged, type Command, type Launch, type Launcher, type Tree } from "./launch.ts";
import type { MountPlan } from "./mount.ts";
import { allGone, childrenOf, innerPid, lookAt, signalProcess, type ProcessEntry } from "./proc.ts";

/**
 * How the identity inside is chosen. Bubblewrap lets root keep every capability, with which a process takes the mounts away again:
 * so all are dropped, always. "nobody" also maps root to an ordinary user, because programs that will not run as root (and vendors'
 * own sandboxes) then do; "same" is for ordinary users, and for root where user namespaces are forbidden.
 */
export type Identity = "nobody" | "same";

const nobody = "65534";
const reportDescriptor = 3;
const configurationDescriptor = 4;
const goneLimitMs = 10_000;

export function bubblewrap(program: string, identity: Identity): Launcher {
  const sandbox = sandboxOptions(identity);
  return { kind: "bubblewrap", sandbox: true, command: (launch) => commandFor(program, sandbox, launch), tree };
}

// Arguments and environment go through a pipe: a command line can be read by everybody on the machine, and a project's LD_PRELOAD
// must not be loaded by bubblewrap itself, which still stands outside.
function commandFor(program: string, sandbox: readonly string[], launch: Launch): Command {
  const options = [
    "--die-with-parent",
    "--unshare-pid",
    "--json-status-fd",
    String(reportDescriptor),
    ...(launch.mounts ? [...sandbox, ...mountOptions(launch.mounts)] : ["--dev-bind", "/", "/", "--proc", "/proc"]),
    ...(launch.network ? [] : ["--unshare-net"]),
    ...Object.entries(launch.env).flatMap(([name, value]) => ["--setenv", name, value]),
    "--chdir",
    launch.cwd,
  ];
  return {
    file: program,
    args: ["--args", String(configurationDescriptor), "--", ...merged(launch)],
    cwd: "/",
    env: launch.markers,
    configuration: options.map((option) => `${option}\0`).join(""),
  };
}

function sandboxOptions(identity: Identity): string[] {
  const privileges = ["--cap-drop", "ALL", "--unshare-ipc"];
  const user = identity === "nobody" ? ["--unshare-user", "--uid", nobody, "--gid", nobody] : [];
  const machine = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"];
  return [...privileges, ...user, ...machine, ...kernelSettings()];
}

/**
 * Root owns the kernel's settings also without any capability: one line in /proc/sys/kernel/core_pattern runs a program outside.
 * (Bubblewrap means to cover them, but asks whether the folder can be written, which it never can: with 0.8 the write went through.)
 * So everything in /proc that is not about processes becomes read-only; links (self, net, mounts) lead to one's own process.
 */
function kernelSettings(): string[] {
  if (process.getuid?.() !== 0) return [];
  return readdirSync("/proc", { withFileTypes: true })
    .filter((entry) => !/^\d+$/.test(entry.name) && !entry.isSymbolicLink())
    .filter((entry) => entry.isDirectory() || canBeWritten(`/proc/${entry.name}`))
    .flatMap(({ name }) => ["--ro-bind", `/proc/${name}`, `/proc/${name}`]);
}

const canBeWritten = (path: string): boolean => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o222) !== 0;

/** Mounts in their order, then the links, and only at the end the emptied places become read-only: mount points are made in them. */
function mountOptions(plan: MountPlan): string[] {
  const mounts = plan.places.flatMap(({ path, view }) => {
    switch (view) {
      case "empty":
      case "scratch":
        return ["--tmpfs", path];
      case "blank":
        return ["--ro-bind", "/dev/null", path];
      case "read":
        return ["--ro-bind", path, path];
      case "write":
        return ["--bind", path, path];
    }
  });
  const links = plan.links.flatMap(({ at, to }) => ["--symlink", to, at]);
  const sealed = plan.places.filter(({ view }) => view === "empty").flatMap(({ path }) => ["--remount-ro", path]);
  return [...mounts, ...links, ...sealed];
}

interface Report {
  /** Process 1 of the new PID namespace, by its number outside. With it everything in there ends. */
  init: ProcessEntry | null;
  /** Bubblewrap tells an exit code only of a program that it could begin. */
  begun: boolean;
}

function tree(child: ChildProcess): Tree {
  const report: Report = { init: null, begun: false };
  const { known, over } = readReport(child.stdio[reportDescriptor] as Readable, report);
  return {
    async inner() {
      await known;
      if (!report.init) return null;
      // The first process that bubblewrap's init starts; orphans that it inherits have higher numbers.
      return childrenOf(report.init.pid).find((entry) => innerPid(entry.pid) === 2) ?? null;
    },
    kill() {
      child.kill("SIGKILL");
      if (report.init) signalProcess(report.init, "SIGKILL");
    },
    async settle() {
      await over;
      // The wrapper reports and goes as soon as the program ends; what the program left behind dies with it a moment later.
      if (report.init) await allGone([report.init], goneLimitMs);
      return { begun: report.begun };
    },
  };
}

/** Reads bubblewrap's reports as they come: one JSON object in a line. */
function readReport(stream: Readable, report: Report): { known: Promise<void>; over: Promise<void> } {
  const { promise: known, resolve: isKnown } = Promise.withResolvers<void>();
  const { promise: over, resolve: isOver } = Promise.withResolvers<void>();
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((each) => each.trim() !== "")) {
      const told = JSON.parse(line) as { "child-pid"?: number; "exit-code"?: number };
      if (told["child-pid"] !== undefined) report.init = lookAt(told["child-pid"]);
      if (told["exit-code"] !== undefined) report.begun = true;
    }
    if (report.init) isKnown();
  });
  stream.once("error", () => stream.destroy());
  stream.once("close", () => {
    isKnown();
    isOver();
  });
  return { known, over };
}
