import { readFileSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { basename, isAbsolute, join } from "node:path";
import { isWithin, realPaths } from "./paths.ts";

/**
 * What no sandboxed process sees, whatever its policy says: homes, sockets that control the machine, and the secrets that a server
 * running as root could read. Computed anew for every start, because users and sockets come and go.
 */
export interface HiddenPlaces {
  /** Homes of people and services. Never shown whole, not even when a policy asks for it. */
  homes: string[];
  /** Emptied, read-only. */
  empty: string[];
  /** Emptied, private and writable. */
  scratch: string[];
  /** Parts of an emptied place that programs cannot do without, given back read-only. */
  kept: string[];
}

// Everything of the machine that is no home even if a user of /etc/passwd claims it (`sync` lives in /bin, `backup` in /var/backups).
const systemTrees = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/nix/store"];
const systemFolders = ["/", "/media", "/mnt", "/nix", "/opt", "/srv", "/tmp", "/var", "/var/cache", "/var/lib", "/var/lock", "/var/log"];
const noLogin = new Set(["nologin", "false", "sync", "shutdown", "halt"]);

// A process that reaches one of these commands the machine from outside the sandbox, also through a read-only mount:
// /run holds docker.sock, containerd, podman, dbus, systemd's private socket, postgresql and /run/user.
const controlPlaces = [
  "/run",
  "/var/run",
  "/var/lib/docker",
  "/var/lib/containerd",
  "/var/lib/containers",
  "/var/lib/incus",
  "/var/lib/kubelet",
  "/var/lib/lxd",
  "/var/lib/mysql",
  "/var/lib/rancher",
  "/var/snap/lxd",
];
// Names are resolved through these (/etc/resolv.conf points into /run), and NixOS keeps its programs there.
const keptPlaces = [
  "/run/NetworkManager/resolv.conf",
  "/run/NetworkManager/no-stub-resolv.conf",
  "/run/connman/resolv.conf",
  "/run/resolvconf",
  "/run/systemd/resolve",
  "/run/nscd",
  "/run/booted-system",
  "/run/current-system",
  "/run/opengl-driver",
];
const secretPlaces = [
  "/boot",
  "/etc/NetworkManager/system-connections",
  "/etc/gshadow",
  "/etc/gshadow-",
  "/etc/krb5.keytab",
  "/etc/kubernetes",
  "/etc/letsencrypt",
  "/etc/rancher",
  "/etc/shadow",
  "/etc/shadow-",
  "/etc/ssl/private",
  "/etc/wireguard",
  "/var/backups",
  "/var/mail",
  "/var/spool/cron",
  "/var/spool/mail",
];

/** The places of this machine that exist now, as real paths. */
export function hiddenPlaces(): HiddenPlaces {
  // Those below /home are named one by one as well: their owners may stand in no /etc/passwd.
  const inHome = list("/home").map((name) => join("/home", name));
  const homes = realPaths(["/root", "/home", homedir(), ...inHome, ...homesOf(read("/etc/passwd"))]).filter((path) => !isSystem(path));
  return {
    homes,
    empty: realPaths([...controlPlaces, ...secretPlaces, ...hostKeys()]),
    scratch: realPaths(["/tmp", "/var/tmp"]),
    kept: realPaths(keptPlaces),
  };
}

/** The homes of all who can log in, out of the text of /etc/passwd. */
export function homesOf(passwd: string): string[] {
  return passwd
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= 7 && !noLogin.has(basename(fields[6] ?? "")))
    .map((fields) => fields[5] ?? "")
    .filter((home) => isAbsolute(home) && !isSystem(home));
}

const isSystem = (path: string): boolean => systemFolders.includes(path) || systemTrees.some((tree) => isWithin(path, tree));

/** The rest of /etc/ssh stays: an ssh client needs its configuration. */
function hostKeys(): string[] {
  return list("/etc/ssh")
    .filter((name) => /^ssh_host_.*_key$/.test(name))
    .map((name) => join("/etc/ssh", name));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // a machine without users' names has /root and /home at most
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not there: nothing to hide
  }
}
