import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { makeFolder, startServer, type Medium, type RunningServer } from "./medium.ts";
import { freePort, isListening } from "./ports.ts";

/** Restate's server from its npm package. `url` is the ingress; its hash is the admin's port. */
export async function startRestate(medium: Medium, packages: string): Promise<RunningServer> {
  const required = createRequire(pathToFileURL(join(packages, "node_modules", "@restatedev", "restate-server", "package.json")));
  const program = required.resolve(`@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`);
  const { version } = required("./package.json") as { version: string };
  const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()];
  const folder = await makeFolder(medium, "restate");
  const server = await startServer({
    medium,
    command: [
      program,
      "--no-logo",
      "--base-dir",
      join(folder, "data"),
      "--node-name",
      "bench",
      "--bind-ip",
      "127.0.0.1",
      "--bind-port",
      String(node),
    ],
    folder,
    signal: "SIGTERM",
    env: {
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
      RESTATE_LISTEN_MODE: "tcp",
      RESTATE_LOG_FILTER: "error",
      RESTATE_DISABLE_TELEMETRY: "true",
      DO_NOT_TRACK: "1",
    },
    isReady: async () => (await isListening(ingress)) && (await isHealthy(admin)),
  });
  const about = `Restate ${version}, its defaults (24 partitions, replicated loglet in RocksDB)`;
  return { ...server, url: `http://127.0.0.1:${ingress}/#${admin}`, about };
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).ok;
  } catch {
    return false;
  }
}
