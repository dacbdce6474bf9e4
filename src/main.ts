import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readConfig, type Config } from "./config.ts";
import { entries } from "./commands.ts";
import { keepTitle } from "./entry/cli/title.ts";
import { makeClient } from "./entry/client.ts";
import { runTour } from "./entry/tour.ts";
import { print, printError, shellWord, styled } from "./entry/cli/output.ts";
import { AppError, toAppError } from "./errors.ts";
import { startServer, type Server } from "./server.ts";
import { version } from "./version.ts";

/**
 * `npm start` and `tutti up` end here: the server in the foreground until SIGTERM or SIGINT, with the tour on an empty store.
 * A second signal while it drains ends it at once.
 */
async function main(): Promise<void> {
  const { agent, tour, background, runner } = readWords();
  const config = readConfig();
  if (!runner) config.runner = "none";
  const server = await startServer(config);
  const stopped = new AbortController();
  // Whoever has the server in a terminal sees in its title how much waits for them.
  const giveTitleBack = keepTitle(makeClient({ url: server.url, token: server.token, entries }), "server");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopped.signal.aborted) process.exit(130);
      stopped.abort();
      giveTitleBack();
      void server.stop().then(() => process.exit(0), fail);
    });
  }
  announce(server);
  try {
    if (tour) await runTour(server, { agent, signal: stopped.signal, command: commandFor(server, config) });
    if (!background && !stopped.signal.aborted) await invite(server);
  } catch (error) {
    stopped.abort();
    giveTitleBack();
    await server.stop();
    throw error;
  }
}

/** Throws AppError invalid_input. */
function readWords(): { agent: string | null; tour: boolean; background: boolean; runner: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        "no-tour": { type: "boolean" },
        agent: { type: "string" },
        background: { type: "boolean" },
        "no-runner": { type: "boolean" },
      },
    });
    if (positionals[0] !== "start" || positionals.length > 1) throw new Error(`there is no "${positionals.join(" ")}" here`);
    const background = values.background ?? false;
    return { agent: values.agent ?? null, tour: !values["no-tour"] && !background, background, runner: !values["no-runner"] };
  } catch (error) {
    const message = error instanceof Error ? (error.message.split(". ", 1)[0] ?? "") : String(error);
    throw new AppError("invalid_input", message, {
      why: "it is: npm start -- [--no-tour] [--agent <name>]",
      fix: ["npm start", "bin/tutti --help"],
    });
  }
}

/** How the command line is called from here, for this home, in another terminal. */
function commandFor(server: Server, { userHome }: Config): string {
  const program = fileURLToPath(new URL("../bin/tutti", import.meta.url));
  const near = relative(process.cwd(), program);
  const home = server.home === join(userHome, ".local", "share", "tutti") ? "" : `TUTTI_HOME=${shellWord(server.home)} `;
  return home + shellWord(near.startsWith("..") ? program : near);
}

/** The link to the dashboard, last, so that it is not scrolled away. In the background it would lie in a log. */
async function invite(server: Server): Promise<void> {
  const link = await server.link();
  if (process.stdout.isTTY)
    print(`\n  dashboard  ${styled("bold", link)}\n             works once, within 5 minutes; another: tutti open\n`);
  else print(`open=${link}`);
}

/** A plain line where no terminal reads it. */
function announce(server: Server): void {
  if (process.stdout.isTTY)
    print(`\n  ${styled("bold", `tutti ${version}`)}  ready at ${server.url}    data ${server.home}    ctrl-c to stop`);
  else print(`url=${server.url}`);
}

function fail(error: unknown): never {
  const known = toAppError(error);
  printError(known, error);
  process.exit(known.exitCode);
}

await main().catch(fail);
