import { homedir } from "node:os";
import { basename, delimiter, join, resolve } from "node:path";
import { parseCrashPoint, type CrashPoint } from "./db/crash.ts";
import { invalidInput } from "./errors.ts";

/** Everything that is read from the environment, in one place: nothing else in src/ looks at process.env. */
export interface Config {
  /** $TUTTI_HOME: all of Tutti's data. */
  home: string;
  /** The port that was asked for; null: 7420, or the next free one. */
  port: number | null;
  /** Names beside the loopback ones by which the server may be called. */
  hosts: string[];
  /** Hosts (with or without a port) that notifications may reach though they are private. */
  notifyAllow: string[];
  databaseUrl: string | undefined;
  logLevel: string;
  /** What the door takes; $TUTTI_LIMITS changes single ones: "person=2000,agent=50,requests=1000,streams=64". */
  limits: DoorLimits;
  /** The way that process trees are ended, forced for tests. */
  processes: "bubblewrap" | "unshare" | "group" | null;
  /** own: the server's process drives the sessions of its home too; none: `tutti runner` does, and outlives the server. */
  runner: "own" | "none";
  /** The most attempts at once of this home's runner; null: as many as projects and agents allow. */
  capacity: number | null;
  crashAt: CrashPoint | null;
  /** Where programs are looked for, without the folders of Tutti's own packages. */
  path: string;
  userHome: string;
  /** What sandboxed processes get of the environment: an allow-list. */
  environment: Record<string, string>;
  /** Providers named by the usual variables; null: by none. The keys stay in this process. */
  openai: ProviderVariables | null;
  anthropic: ProviderVariables | null;
  google: ProviderVariables | null;
  /** Another build of the dashboard than our own, for whoever works on it. */
  dashboard: string | null;
  /** A token given by the environment (an agent's own, or a script's), and the server to use it with. */
  token: string | null;
  url: string | null;
}

/** A token bucket: so many at once, and so many a second in the long run. */
export interface Rate {
  perSecond: number;
  burst: number;
}

export interface DoorLimits {
  /** Of each person's token. */
  person: Rate;
  /** Of each agent's token: a loop that asks without end is no use to anybody. */
  agent: Rate;
  /** In work at once, of everybody; one token has at most half of them. */
  requests: number;
  /** Open streams of one token. */
  streams: number;
}

export const usualDoorLimits: DoorLimits = {
  person: { perSecond: 2_000, burst: 4_000 },
  agent: { perSecond: 50, burst: 100 },
  requests: 1_000,
  streams: 64,
};

/** What the variables say of one vendor's provider; the address is the vendor's own when they name none. */
export interface ProviderVariables {
  baseUrl: string | null;
  key: string | null;
  model: string;
}

const passedOn = ["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TERM"];
const processKinds = ["bubblewrap", "unshare", "group"] as const;
const runnerKinds = ["own", "none"] as const;
const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

/** Throws AppError invalid_input naming the variable that cannot be used. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const userHome = env.HOME || homedir();
  const dataHome = env.XDG_DATA_HOME || join(userHome, ".local", "share");
  const path = ownPath(env.PATH ?? "/usr/local/bin:/usr/bin:/bin");
  return {
    home: resolve(env.TUTTI_HOME || join(dataHome, "tutti")),
    port: readPort(env.TUTTI_PORT),
    hosts: (env.TUTTI_HOSTS ?? "").split(",").filter(Boolean),
    notifyAllow: (env.TUTTI_NOTIFY_ALLOW ?? "").split(/[\s,]+/).filter(Boolean),
    databaseUrl: env.DATABASE_URL || undefined,
    logLevel: oneOf("TUTTI_LOG", env.TUTTI_LOG, logLevels) ?? "warn",
    limits: readLimits(env.TUTTI_LIMITS),
    processes: oneOf("TUTTI_PROCESSES", env.TUTTI_PROCESSES, processKinds),
    runner: oneOf("TUTTI_RUNNER", env.TUTTI_RUNNER, runnerKinds) ?? "own",
    capacity: readCapacity(env.TUTTI_CAPACITY),
    crashAt: parseCrashPoint(env.TUTTI_CRASH_AT),
    path,
    userHome,
    environment: { PATH: path, ...Object.fromEntries(passedOn.flatMap((name) => (env[name] ? [[name, env[name]]] : []))) },
    // A server of one's own takes any name for its only model; a vendor does not.
    openai: readProvider(env.OPENAI_BASE_URL, env.OPENAI_API_KEY, env.OPENAI_MODEL || (env.OPENAI_BASE_URL ? "default" : "gpt-5.5")),
    anthropic: readProvider(env.ANTHROPIC_BASE_URL, env.ANTHROPIC_API_KEY, env.ANTHROPIC_MODEL || "claude-sonnet-4-5"),
    google: readProvider(
      env.GOOGLE_GEMINI_BASE_URL,
      env.GEMINI_API_KEY || env.GOOGLE_GENERATIVE_AI_API_KEY,
      env.GEMINI_MODEL || "gemini-2.5-pro",
    ),
    dashboard: env.TUTTI_DASHBOARD || null,
    token: env.TUTTI_TOKEN || null,
    url: env.TUTTI_URL || null,
  };
}

/** An address or a key is enough to name a provider. */
const readProvider = (baseUrl: string | undefined, key: string | undefined, model: string): ProviderVariables | null =>
  baseUrl || key ? { baseUrl: baseUrl || null, key: key || null, model } : null;

/** npm puts the folders of its packages in front of PATH; agents get the person's programs, not ours. */
const ownPath = (path: string): string =>
  path
    .split(delimiter)
    .filter((folder) => folder && !/[/\\]node_modules[/\\]\.bin$/.test(folder) && !folder.includes("node-gyp-bin"))
    .join(delimiter);

/** How the terminal and the desktop are of the person who calls the command line. */
export interface Terminal {
  /** Whether the environment wants colours; null: as the stream is a terminal or not. */
  colour: boolean | null;
  /** The variable that said so, or "default". */
  colourFrom: string;
  /** It understands escape sequences (a title). */
  obeys: boolean;
  /** A browser that is opened appears before this person: a desktop, no ssh, no CI. */
  desktop: boolean;
  /** The person's shell by name: bash, zsh, fish; null when it is not known. */
  shell: string | null;
  userHome: string;
  /** The person's folders for settings and for what can be made again; zsh may have its settings elsewhere. */
  configHome: string;
  cacheHome: string;
  zshHome: string;
  /** Variables that send requests through a proxy, and whether Node obeys them. Values stay here: they may hold a password. */
  proxies: { names: string[]; used: boolean; sparesLoopback: boolean };
}

export function readTerminal(env: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): Terminal {
  const userHome = env.HOME || homedir();
  const hasDisplay = platform === "darwin" || Boolean(env.DISPLAY || env.WAYLAND_DISPLAY);
  const isElsewhere = ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "CI"].some((name) => env[name]);
  const spared = (env.NO_PROXY || env.no_proxy || "").split(",").map((name) => name.trim());
  return {
    ...wantsColour(env),
    obeys: env.TERM !== "dumb",
    desktop: hasDisplay && !isElsewhere,
    shell: env.SHELL ? basename(env.SHELL) : null,
    userHome,
    configHome: env.XDG_CONFIG_HOME || join(userHome, ".config"),
    cacheHome: env.XDG_CACHE_HOME || join(userHome, ".cache"),
    zshHome: env.ZDOTDIR || userHome,
    proxies: {
      names: ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"].filter((name) => env[name]),
      used: env.NODE_USE_ENV_PROXY === "1",
      sparesLoopback: spared.some((name) => ["*", "127.0.0.1", "localhost"].includes(name)),
    },
  };
}

/** NO_COLOR, then FORCE_COLOR, then TERM=dumb (no-color.org, force-color.org); empty ones count as not set. */
function wantsColour(env: NodeJS.ProcessEnv): Pick<Terminal, "colour" | "colourFrom"> {
  if (env.NO_COLOR) return { colour: false, colourFrom: "NO_COLOR" };
  if (env.FORCE_COLOR) return { colour: !["0", "false"].includes(env.FORCE_COLOR), colourFrom: "FORCE_COLOR" };
  return env.TERM === "dumb" ? { colour: false, colourFrom: "TERM" } : { colour: null, colourFrom: "default" };
}

/** One value of the configuration as a person may see it. */
export interface Setting {
  name: string;
  /** Never a secret: of those only "set". null: not set. */
  value: string | null;
  /** The variable that it came from, or "default". */
  origin: string;
}

interface Source<Value> {
  /** The variables that can decide it, the strongest first. */
  from: readonly string[];
  shown(value: Value): string | null;
}

const secret = (value: unknown): string | null => (value ? "set" : null);
const text = (value: string | number | null | undefined): string | null => (value === null || value === undefined ? null : String(value));

const provider = (value: ProviderVariables | null): string | null => value && `model ${value.model}, key ${value.key ? "set" : "none"}`;

const sources: { [Name in keyof Config]: Source<Config[Name]> } = {
  home: { from: ["TUTTI_HOME", "XDG_DATA_HOME"], shown: text },
  port: { from: ["TUTTI_PORT"], shown: (port) => text(port) ?? "7420, or the next free one" },
  hosts: { from: ["TUTTI_HOSTS"], shown: (hosts) => hosts.join(",") || null },
  notifyAllow: { from: ["TUTTI_NOTIFY_ALLOW"], shown: (hosts) => hosts.join(",") || null },
  databaseUrl: { from: ["DATABASE_URL"], shown: secret },
  logLevel: { from: ["TUTTI_LOG"], shown: text },
  limits: {
    from: ["TUTTI_LIMITS"],
    shown: ({ person, agent, requests, streams }) =>
      `person=${person.perSecond},agent=${agent.perSecond},requests=${requests},streams=${streams}`,
  },
  processes: { from: ["TUTTI_PROCESSES"], shown: text },
  runner: { from: ["TUTTI_RUNNER"], shown: text },
  capacity: { from: ["TUTTI_CAPACITY"], shown: text },
  crashAt: { from: ["TUTTI_CRASH_AT"], shown: secret },
  dashboard: { from: ["TUTTI_DASHBOARD"], shown: text },
  path: { from: ["PATH"], shown: text },
  userHome: { from: ["HOME"], shown: text },
  environment: { from: passedOn, shown: (environment) => Object.keys(environment).join(",") },
  openai: { from: ["OPENAI_BASE_URL", "OPENAI_API_KEY"], shown: provider },
  anthropic: { from: ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"], shown: provider },
  google: { from: ["GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"], shown: provider },
  token: { from: ["TUTTI_TOKEN"], shown: secret },
  url: { from: ["TUTTI_URL"], shown: (url) => url && url.replace(/\/\/[^/@]*@/, "//") },
};

/** Every value of the configuration and where it came from; no secret among them. Throws AppError as readConfig. */
export function listSettings(env: NodeJS.ProcessEnv = process.env): Setting[] {
  const config = readConfig(env);
  return (Object.keys(sources) as (keyof Config)[]).map((name) => settingOf(name, config, env));
}

function settingOf<Name extends keyof Config>(name: Name, config: Config, env: NodeJS.ProcessEnv): Setting {
  const { from, shown }: Source<Config[Name]> = sources[name];
  return { name, value: shown(config[name]), origin: from.find((variable) => env[variable]) ?? "default" };
}

function readPort(text: string | undefined): number | null {
  if (!text) return null;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw invalidInput(`TUTTI_PORT is "${text}"`, "a port is a number from 0 to 65535 (0: any free one)");
}

function readCapacity(text: string | undefined): number | null {
  if (!text) return null;
  const capacity = Number(text);
  if (Number.isInteger(capacity) && capacity > 0) return capacity;
  throw invalidInput(`TUTTI_CAPACITY is "${text}"`, "it is how many attempts run at once: a whole number above 0");
}

/** A burst is two seconds' worth. */
const rateOf = (perSecond: number): Rate => ({ perSecond, burst: 2 * perSecond });

function readLimits(text: string | undefined): DoorLimits {
  const limits = { ...usualDoorLimits };
  for (const part of (text ?? "").split(",").filter(Boolean)) {
    const [, name, number] = /^\s*([a-z]+)\s*=\s*([1-9]\d{0,6})\s*$/.exec(part) ?? [];
    if (name === "person" || name === "agent") limits[name] = rateOf(Number(number));
    else if (name === "requests" || name === "streams") limits[name] = Number(number);
    else {
      throw invalidInput(
        `TUTTI_LIMITS has "${part}"`,
        "it names person or agent (requests a second of one token), requests (in work at once) or streams (of one token), each from 1",
        ["TUTTI_LIMITS=person=2000,agent=50,requests=1000,streams=64"],
      );
    }
  }
  return limits;
}

function oneOf<Word extends string>(name: string, value: string | undefined, words: readonly Word[]): Word | null {
  if (!value) return null;
  const word = words.find((known) => known === value);
  if (word) return word;
  throw invalidInput(`${name} is "${value}"`, `it can be: ${words.join(", ")}`);
}
