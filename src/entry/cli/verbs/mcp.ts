import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { wantsJson } from "../options.ts";

/** MCP for programs of this machine: the bridge that they start, and telling them of it. What a verb needs is loaded when it is called. */
export function addMcpVerbs(program: Command): void {
  const mcp = program
    .command("mcp")
    .description("serve MCP on stdin and stdout, for a program that starts it; `tutti mcp install` tells a program of it")
    .option("--groups <names>", "groups of tools, with commas, or all")
    .option("--as <program>", "with the token that `tutti mcp install` made for this program")
    .action(async (options: { groups?: string; as?: string }) => await serve(options));
  mcp
    .command("install")
    .argument("[program]", "claude, codex, gemini, qwen, opencode, copilot, goose or cursor; without it: how things stand")
    .option("--scopes <names>", "what it may do: read, work, approve, admin", "read,work")
    .option("--dry-run", "only show what would be changed")
    .option("--yes", "do not ask")
    .description("show what a program needs to know, ask, and write it")
    .action(async (name: string | undefined, options: InstallFlags, command: Command) => await tell(name, options, wantsJson(command)));
}

interface InstallFlags {
  scopes: string;
  dryRun?: boolean;
  yes?: boolean;
}

async function serve({ groups, as }: { groups?: string; as?: string }): Promise<void> {
  const { bridge } = await import("../../mcp/bridge.ts");
  const { findServer } = await import("../../mcp/find-server.ts");
  await bridge({ input: process.stdin, output: process.stdout, groups: groups ?? null, locate: () => findServer(as ?? null) });
}

async function tell(name: string | undefined, flags: InstallFlags, json: boolean): Promise<void> {
  const [{ install, isInstalled }, { programs }, { note, print, printJson }, { readConfig, readTerminal }, { findServer }] =
    await Promise.all([
      import("../../mcp/install/install.ts"),
      import("../../mcp/install/programs.ts"),
      import("../output.ts"),
      import("../../../config.ts"),
      import("../../mcp/find-server.ts"),
    ]);
  const { home, path } = readConfig();
  const { userHome, configHome } = readTerminal();
  if (name === undefined) {
    const items = await Promise.all(
      programs.map(async (program) => ({
        name: program.name,
        title: program.title,
        file: program.kind === "file" ? program.file({ home: userHome, configHome }) : null,
        installed: await isInstalled(program, { home, userHome, configHome }),
      })),
    );
    if (json) return printJson({ items });
    for (const { name: id, title, file, installed } of items)
      print(
        `${id.padEnd(9)} ${title.padEnd(19)} ${installed === null ? "by its own command" : `${installed ? "there" : "not yet"}: ${file}`}`,
      );
    return;
  }
  const done = await install(name, {
    home,
    userHome,
    configHome,
    path,
    dryRun: flags.dryRun === true,
    yes: flags.yes === true,
    say: note,
    input: process.stdin,
    output: process.stderr,
    async makeToken(tokenName) {
      const [{ connect }, { Scope }, { invalidInput }] = await Promise.all([
        import("../connect.ts"),
        import("../../../access/token.ts"),
        import("../../../errors.ts"),
      ]);
      const scopes = Scope.array()
        .nonempty()
        .safeParse(flags.scopes.split(",").map((scope) => scope.trim()));
      if (!scopes.success) throw invalidInput(`--scopes is "${flags.scopes}"`, "it can hold: read, work, approve, admin");
      const { client } = await connect();
      return (await client.command("token.create", { name: tokenName, scopes: scopes.data }, { key: randomUUID() })).token;
    },
    async isGood(token) {
      // Without a server nobody knows; then nothing is made anew.
      const server = await findServer(null).catch(() => null);
      if (!server) return true;
      const answer = await fetch(new URL("/api/tasks?limit=1", server.url), { headers: { authorization: `Bearer ${token}` } });
      return answer.status !== 401;
    },
  });
  if (json) printJson({ program: name, result: done });
  else print(`${name}: ${done}`);
}
