import type { Detection } from "../agents/agent.ts";
import type { ProcessAbilities } from "../processes/process.ts";
import type { Area, Finding, Mend } from "./finding.ts";

/** What was seen becomes findings here: pure, no clock, no files. Messages never have a secret in them. */

const found =
  (state: Finding["state"]) =>
  (area: Area, message: string, fix: string | null = null, mend: Mend | null = null): Finding => ({ area, state, message, fix, mend });
const ok = found("ok");
const warning = found("warning");
const problem = found("problem");

const restart = "tutti down && tutti up";

export function judgeRuntime({ node, sqlite }: { node: string; sqlite: string }): Finding[] {
  const line = `node ${node}, sqlite ${sqlite}`;
  return [Number(/^v?(\d+)/.exec(node)?.[1]) >= 24 ? ok("runtime", line) : problem("runtime", `${line}: Tutti needs Node 24`, "npm ci")];
}

/** What `$TUTTI_HOME/server.json` says, and whether its server answers. */
export type ServerSeen =
  | { kind: "none" }
  | { kind: "damaged" }
  | { kind: "stale"; pid: number }
  | { kind: "silent"; pid: number; url: string; why: string }
  | { kind: "refused"; url: string; why: string; fix: string | null }
  | { kind: "answers"; url: string; version: string; log: { file: string; problem: string | null } };

export function judgeServer(seen: ServerSeen, own: { home: string; version: string; missing: string[] }): Finding[] {
  const none = problem("server", `no server runs for ${own.home}`, "tutti up");
  switch (seen.kind) {
    case "none":
      return [none];
    case "damaged":
      return [none, warning("server", "server.json is damaged", "tutti doctor --fix", { kind: "remove server file" })];
    case "stale":
      return [
        none,
        warning("server", `server.json is left from process ${seen.pid}, which has gone`, "tutti doctor --fix", {
          kind: "remove server file",
        }),
      ];
    case "silent":
      return [problem("server", `process ${seen.pid} is there, but nothing answers at ${seen.url}: ${seen.why}`, restart)];
    case "refused":
      return [problem("server", `${seen.url}: ${seen.why}`, seen.fix)];
    case "answers":
      return judgeAnswering(seen, own);
  }
}

function judgeAnswering(seen: Extract<ServerSeen, { kind: "answers" }>, own: { version: string; missing: string[] }): Finding[] {
  const findings = [ok("server", `tutti ${seen.version} at ${seen.url}`)];
  if (seen.version !== own.version)
    findings.push(warning("server", `it is version ${seen.version}, this command is version ${own.version}`, restart));
  if (seen.log.problem) findings.push(problem("server", `its log ${seen.log.file} ${seen.log.problem}`, restart));
  if (own.missing.length > 0) {
    const more = own.missing.length - 3;
    const folders = own.missing.slice(0, 3).join(", ") + (more > 0 ? ` and ${more} more` : "");
    findings.push(warning("server", `it does not look for programs in ${folders}, as this shell does`, restart));
  }
  return findings;
}

/** Folders of the shell's PATH in which the server does not look. */
export function missingFolders(shell: string, server: string, exists: (folder: string) => boolean): string[] {
  const known = new Set(server.split(":"));
  return [...new Set(shell.split(":"))].filter((folder) => folder !== "" && !known.has(folder) && exists(folder));
}

export interface DatabaseFacts {
  kind: "sqlite" | "postgres";
  version: string;
  schema: number;
  newestSchema: number;
  /** "ok", what is wrong, or null when it was not looked at. */
  integrity: string | null;
  /** The database's clock less the server's. */
  skewMs: number;
}

const mostSkewMs = 2_000;

export function judgeDatabase({ kind, version, schema, newestSchema, integrity, skewMs }: DatabaseFacts): Finding[] {
  const sound = integrity === "ok" ? ", sound" : "";
  const findings = [ok("database", `${kind} ${version}, schema ${schema}${sound}`)];
  if (integrity !== null && integrity !== "ok")
    findings.push(problem("database", `it is damaged: ${integrity}`, "tutti down, then put a backup in its place"));
  if (schema !== newestSchema) findings.push(warning("database", `its schema is ${schema}, this server's is ${newestSchema}`, restart));
  if (Math.abs(skewMs) > mostSkewMs)
    findings.push(
      problem("database", `its clock and the server's are ${Math.round(skewMs / 100) / 10} s apart`, "timedatectl set-ntp true"),
    );
  return findings;
}

export interface DiskFacts {
  home: string;
  exists: boolean;
  freeMb: number;
  /** Files and folders that others may read, and should not. */
  open: { path: string; mode: number }[];
}

export function judgeDisk({ home, exists, freeMb, open }: DiskFacts): Finding[] {
  if (!exists) return [ok("disk", `${home} is not there yet; the first start makes it`)];
  const line = `${home}: ${freeMb} MB free`;
  const space =
    freeMb < 500 ? problem("disk", line, `df -h ${home}`) : freeMb < 2_000 ? warning("disk", line, `df -h ${home}`) : ok("disk", line);
  const closed = open.map(({ path, mode }) =>
    problem("disk", `others on this machine may read ${path} (mode ${mode.toString(8).padStart(4, "0")})`, "tutti doctor --fix", {
      kind: "close",
      path,
    }),
  );
  return [space, ...closed];
}

/** `program` is where the program is that clones and merges. */
export const judgeClones = (program: string | null): Finding[] =>
  program ? [ok("clones", program)] : [problem("clones", "git was not found", "apt-get install git")];

export const judgeProcesses = ({ kind, sandbox, why }: ProcessAbilities): Finding[] => [
  sandbox ? ok("processes", `${kind}: ${why}`) : problem("processes", `no sandbox (${kind}): ${why}`, "apt-get install bubblewrap"),
];

export interface AgentSeen {
  name: string;
  /** As the server remembers it, and as it was found just now. */
  stored: Detection;
  now: Detection;
}

export function judgeAgents(agents: AgentSeen[]): Finding[] {
  const findings = agents.flatMap(({ name, stored, now }) => {
    const line = `${name}: ${[now.state, now.version, now.message].filter(Boolean).join(", ")}`;
    const changed =
      stored.state === now.state
        ? []
        : [
            warning("agents", `${name} was "${stored.state}" when it was last looked at`, "tutti doctor --fix", {
              kind: "refresh agents" as const,
            }),
          ];
    return [now.state === "ready" ? ok("agents", line) : warning("agents", line, now.fix), ...changed];
  });
  if (agents.some(({ now }) => now.state === "ready")) return findings;
  return [...findings, problem("agents", "no agent can work", "tutti agents add demo --backend model --provider demo")];
}

export interface ProviderSeen {
  name: string;
  /** Its key should be kept by the server, and is not there. */
  keyMissing: boolean;
  /** Why nothing listens at its address; null when something does. */
  unreachable: string | null;
}

export function judgeKeys(providers: ProviderSeen[]): Finding[] {
  if (providers.length === 0) return [ok("keys", "no providers of models are set up; agents with a login of their own need none")];
  return providers.map(({ name, keyMissing, unreachable }) => {
    if (keyMissing)
      return problem("keys", `${name}: its key is gone`, `tutti providers set ${name} --key-stdin --base-url <url> --model <name>`);
    return unreachable === null
      ? ok("keys", `${name} can be reached`)
      : warning("keys", `${name} cannot be reached: ${unreachable}`, "tutti providers");
  });
}

export interface NetworkFacts {
  /** Why 127.0.0.1 cannot be used; null when it can. */
  loopback: string | null;
  proxies: { names: string[]; used: boolean; sparesLoopback: boolean };
}

export function judgeNetwork({ loopback, proxies }: NetworkFacts): Finding[] {
  const findings = [
    loopback === null
      ? ok("network", "127.0.0.1 can be used")
      : problem("network", `127.0.0.1 cannot be used: ${loopback}`, "ip link set lo up"),
  ];
  if (proxies.names.length === 0) return findings;
  const names = proxies.names.join(", ");
  if (!proxies.used) findings.push(warning("network", `${names} is set, and Tutti does not obey it`, "NODE_USE_ENV_PROXY=1 tutti up"));
  else if (!proxies.sparesLoopback)
    findings.push(problem("network", `${names} sends requests for this machine away too`, "export NO_PROXY=127.0.0.1,localhost"));
  else findings.push(ok("network", `${names} is obeyed, but not for this machine`));
  return findings;
}

export interface PortFacts {
  /** The port that was asked for; null: 7420 or the next free one. */
  wanted: number | null;
  /** The server's own; null when none runs. */
  own: number | null;
  /** Without a server: whether the wanted one (7420) is taken by somebody else. */
  taken: boolean;
}

const usualPort = 7420;

export function judgePorts({ wanted, own, taken }: PortFacts): Finding[] {
  if (own !== null) {
    if (wanted === null || wanted === 0 || wanted === own) return [ok("ports", `the server has ${own}`)];
    return [warning("ports", `TUTTI_PORT is ${wanted}, but the server has ${own}`, restart)];
  }
  if (!taken) return [ok("ports", `${wanted ?? usualPort} is free`)];
  if (wanted === null) return [ok("ports", `${usualPort} is taken by another program; the server takes the next free one`)];
  return [problem("ports", `TUTTI_PORT is ${wanted}, and another program has it`, "TUTTI_PORT=0 tutti up")];
}

export interface ChannelSeen {
  name: string;
  enabled: boolean;
  /** Why the server itself switched it off. */
  message: string | null;
}

export function judgeNotifications(channels: ChannelSeen[]): Finding[] {
  if (channels.length === 0) return [ok("notifications", "no channels: nobody is told outside of Tutti")];
  return channels.map(({ name, enabled, message }) => {
    if (enabled) return ok("notifications", `${name} is told`);
    if (message === null) return ok("notifications", `${name} is switched off`);
    return warning("notifications", `${name} was switched off: ${message}`, `tutti channel test ${name}`);
  });
}
