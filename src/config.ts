import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
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
  databaseUrl: string | undefined;
  logLevel: string;
  /** The way that process trees are ended, forced for tests. */
  processes: "bubblewrap" | "unshare" | "group" | null;
  crashAt: CrashPoint | null;
  /** Where programs are looked for, without the folders of Tutti's own packages. */
  path: string;
  userHome: string;
  /** What sandboxed processes get of the environment: an allow-list. */
  environment: Record<string, string>;
  /** A provider named by the usual variables. The key stays in this process. */
  openai: { baseUrl: string; key: string | null; model: string } | null;
  /** A token given by the environment (an agent's own, or a script's), and the server to use it with. */
  token: string | null;
  url: string | null;
}

const passedOn = ["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TERM"];
const processKinds = ["bubblewrap", "unshare", "group"] as const;
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
    databaseUrl: env.DATABASE_URL || undefined,
    logLevel: oneOf("TUTTI_LOG", env.TUTTI_LOG, logLevels) ?? "warn",
    processes: oneOf("TUTTI_PROCESSES", env.TUTTI_PROCESSES, processKinds),
    crashAt: parseCrashPoint(env.TUTTI_CRASH_AT),
    path,
    userHome,
    environment: { PATH: path, ...Object.fromEntries(passedOn.flatMap((name) => (env[name] ? [[name, env[name]]] : []))) },
    openai: env.OPENAI_BASE_URL
      ? { baseUrl: env.OPENAI_BASE_URL, key: env.OPENAI_API_KEY || null, model: env.OPENAI_MODEL || "default" }
      : null,
    token: env.TUTTI_TOKEN || null,
    url: env.TUTTI_URL || null,
  };
}

/** npm puts the folders of its packages in front of PATH; agents get the person's programs, not ours. */
const ownPath = (path: string): string =>
  path
    .split(delimiter)
    .filter((folder) => folder && !/[/\\]node_modules[/\\]\.bin$/.test(folder) && !folder.includes("node-gyp-bin"))
    .join(delimiter);

function readPort(text: string | undefined): number | null {
  if (!text) return null;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw invalidInput(`TUTTI_PORT is "${text}"`, "a port is a number from 0 to 65535 (0: any free one)");
}

function oneOf<Word extends string>(name: string, value: string | undefined, words: readonly Word[]): Word | null {
  if (!value) return null;
  const word = words.find((known) => known === value);
  if (word) return word;
  throw invalidInput(`${name} is "${value}"`, `it can be: ${words.join(", ")}`);
}
