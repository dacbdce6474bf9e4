import { existsSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { parseObject, setInJson, valueAt } from "./edit-json.ts";
import { addToToml, addToYaml, tomlSection } from "./edit-lines.ts";

/** How a program is to start our server. */
export interface Launch {
  command: string;
  args: string[];
  env: Record<string, string>;
}

interface Places {
  /** The person's home. */
  home: string;
  /** XDG_CONFIG_HOME, by default ~/.config. */
  configHome: string;
}

/** A program that is told by its own command: its file is not meant to be edited. */
interface ByCommand {
  name: string;
  title: string;
  kind: "command";
  program: string;
  /** Ends with 0 when it knows our server already. */
  known: string[];
  add(launch: Launch): string[];
}

/** A program whose documented file we add to. */
interface ByFile {
  name: string;
  title: string;
  kind: "file";
  file(places: Places): string;
  /** The text with our server in it; the same text when it is there already; null when the file is not ours to change. */
  edit(text: string, launch: Launch): string | null;
  /** What to write by hand. */
  snippet(launch: Launch): string;
}

export type KnownProgram = ByCommand | ByFile;

/** The programs with one object of servers in a JSON file. */
function byJson(
  known: Pick<ByFile, "name" | "title" | "file">,
  key: string,
  entry: (launch: Launch) => Record<string, unknown> = ({ command, args, env }) => ({ command, args, env }),
): ByFile {
  return {
    ...known,
    kind: "file",
    edit: (text, launch) => {
      const wanted = entry(launch);
      // What a person added to our entry (a timeout, say) is theirs.
      const there = valueAt(parseObject(text) ?? {}, [key, "tutti"]);
      const kept = typeof there === "object" && there !== null && !Array.isArray(there) ? { ...there, ...wanted } : wanted;
      return setInJson(text, [key, "tutti"], kept);
    },
    snippet: (launch) => JSON.stringify({ [key]: { tutti: entry(launch) } }, null, 2),
  };
}

const gooseEntry = ({ command, args, env }: Launch) => ({
  enabled: true,
  type: "stdio",
  name: "tutti",
  cmd: command,
  args,
  envs: env,
  timeout: 300,
});

/** Files and commands as each program documents them. */
export const programs: readonly KnownProgram[] = [
  {
    name: "claude",
    title: "Claude Code",
    kind: "command",
    program: "claude",
    known: ["mcp", "get", "tutti"],
    // Its --env takes all the words up to the next option, so one stands between it and the name.
    add: ({ command, args, env }) => [
      "mcp",
      "add",
      ...Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
      "--transport",
      "stdio",
      "--scope",
      "user",
      "tutti",
      "--",
      command,
      ...args,
    ],
  },
  {
    name: "codex",
    title: "Codex",
    kind: "file",
    file: ({ home }) => join(home, ".codex", "config.toml"),
    edit: addToToml,
    snippet: tomlSection,
  },
  byJson({ name: "gemini", title: "Gemini CLI", file: ({ home }) => join(home, ".gemini", "settings.json") }, "mcpServers"),
  byJson({ name: "qwen", title: "Qwen Code", file: ({ home }) => join(home, ".qwen", "settings.json") }, "mcpServers"),
  byJson({ name: "opencode", title: "OpenCode", file: openCodeFile }, "mcp", ({ command, args, env }) => ({
    type: "local",
    command: [command, ...args],
    environment: env,
    enabled: true,
  })),
  byJson(
    { name: "copilot", title: "GitHub Copilot CLI", file: ({ home }) => join(home, ".copilot", "mcp-config.json") },
    "mcpServers",
    ({ command, args, env }) => ({ type: "local", command, args, env, tools: ["*"] }),
  ),
  {
    name: "goose",
    title: "goose",
    kind: "file",
    file: ({ configHome }) => join(configHome, "goose", "config.yaml"),
    edit: (text, launch) => addToYaml(text, ["extensions", "tutti"], gooseEntry(launch)),
    snippet: (launch) => stringify({ extensions: { tutti: gooseEntry(launch) } }),
  },
  byJson({ name: "cursor", title: "Cursor", file: ({ home }) => join(home, ".cursor", "mcp.json") }, "mcpServers"),
];

/** It reads either name; the one that is there is the person's. */
function openCodeFile({ configHome }: Places): string {
  const [plain, commented] = ["opencode.json", "opencode.jsonc"].map((name) => join(configHome, "opencode", name)) as [string, string];
  return !existsSync(plain) && existsSync(commented) ? commented : plain;
}
