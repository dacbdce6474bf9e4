import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Protocol } from "../../../models/model.ts";
import type { SessionSpec } from "../../backend.ts";
import type { StreamReader } from "../streams/told.ts";

/**
 * What Tutti knows of an agent program: how it is started, arguments, environment, files, versions, logins. Names of variables and
 * files are the programs' own, tried with the versions in docs/agents.md. Nothing here decides anything about a turn.
 */
export interface Preset {
  /** Not free software: Tutti neither brings nor installs it, and only says how a person does. */
  proprietary: boolean;
  /** How a person signs in, for `credentials: vendor`. */
  signIn: string;
  /** The folders in which the program keeps its login and its settings, below HOME. */
  login: string[];
  /** The files of which one must be there for a login, below HOME. Only whether they are there is looked at, never what is in them. */
  loginFiles: string[];
  /** The languages of models that it can speak to the broker, for `credentials: key`. */
  protocols: readonly Protocol[];
  /** Over the Agent Client Protocol. */
  acp: AcpWay | null;
  /** Started once for each turn. */
  command: CommandWay | null;
}

export interface Way {
  program: string;
  versions: { from: string; below: string };
  install: string;
  /** With `permissions: ask` it asks before it acts. Without that, what would need an answer is refused by the program itself. */
  asks: boolean;
  /** It reports token counts with each turn. */
  usage: boolean;
  /** Not the vendor's own program: the vendor's login is not for it, unless a person says so. */
  keyOnly?: boolean;
  prepare(session: PresetSession): Prepared;
}

export interface AcpWay extends Way {
  /** What it is told of us beyond the protocol, in `_meta` of our abilities: that we understand what `failureIn` reads. */
  clientMeta?: Record<string, unknown>;
  /** Why a turn failed that it calls ended, in the answer to the prompt; null: it did not fail. */
  failureIn?(response: unknown): string | null;
  /** A program of its own that must listen before this one starts. */
  companion?(session: PresetSession): Companion;
}

export interface Companion {
  args: string[];
  /** On loopback; free when it was looked for. */
  port: number;
  startMs: number;
}

export interface CommandWay extends Way {
  /** The prompt comes by stdin, and the answer as lines that this understands. */
  read: StreamReader;
  /** Its token counts are the sum over the whole conversation. */
  usageIsSum: boolean;
}

/** What a preset needs to know of a session. With `broker` null the program uses what is in its own login folders. */
export interface PresetSession extends Pick<SessionSpec, "broker" | "permissions" | "cwd" | "home"> {
  model: string | undefined;
  /** The program's id of the conversation to go on with (command); null: a new one. */
  resume: string | null;
  /** A new id, for programs that are told theirs. */
  fresh: string;
  /** A port of loopback that was free, for programs that need one. */
  port: number;
}

/** A file that a program reads in its home. */
export interface HomeFile {
  /** Below the session's home. */
  path: string;
  text: string;
}

export interface Prepared {
  args: string[];
  env: Record<string, string>;
  files: HomeFile[];
  /** Variables that must not be there, whoever set them. */
  unset?: string[];
  /** The id of the conversation, where it is not the program that gives it. */
  vendorSession?: string;
}

export const isSignedIn = ({ loginFiles }: Pick<Preset, "loginFiles">, home: string): boolean =>
  loginFiles.some((file) => existsSync(join(home, file)));

/** The person's own login folders of a program, absolute, as far as they exist: mounted as they are, never copied. */
export const foldersOf = ({ login }: Pick<Preset, "login">, home: string): string[] =>
  login.map((folder) => join(home, folder)).filter((folder) => existsSync(folder));

/** A JSON file with the line end that editors expect. */
export const jsonFile = (path: string, value: unknown): HomeFile => ({ path, text: `${JSON.stringify(value, null, 2)}\n` });
