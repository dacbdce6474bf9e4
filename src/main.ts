import { parseArgs } from "node:util";
import { readConfig } from "./config.ts";
import { runTour } from "./entry/tour.ts";
import { print, printError, styled } from "./entry/cli/output.ts";
import { AppError, toAppError } from "./errors.ts";
import { startServer, type Server } from "./server.ts";
import { version } from "./version.ts";

/**
 * `npm start` and `tutti up` end here: the server in the foreground until SIGTERM or SIGINT, with the tour on an empty store.
 * A second signal while it drains ends it at once.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "no-tour": { type: "boolean" }, agent: { type: "string" }, background: { type: "boolean" } },
  });
  if (positionals[0] !== "start" || positionals.length > 1) {
    throw new AppError("invalid_input", `there is no "${positionals.join(" ")}" here`, { fix: ["npm start", "tutti --help"] });
  }
  const server = await startServer(readConfig());
  const stopped = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopped.signal.aborted) process.exit(130);
      stopped.abort();
      void server.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          printError(toAppError(error));
          process.exit(1);
        },
      );
    });
  }
  announce(server);
  if (values["no-tour"] || values.background) return;
  await runTour(server, { agent: values.agent ?? null, signal: stopped.signal });
}

/** Last, so that it is not scrolled away; a plain line where no terminal reads it. */
function announce(server: Server): void {
  if (process.stdout.isTTY)
    print(`\n  ${styled("bold", `tutti ${version}`)}  ready at ${server.url}    data ${server.home}    ctrl-c to stop`);
  else print(`url=${server.url}`);
}

try {
  await main();
} catch (error) {
  const known = toAppError(error);
  printError(known, error);
  process.exit(known.exitCode);
}
