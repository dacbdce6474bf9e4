import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endChild, findProgram } from "./servers/medium.ts";

/** The product's own server in a process of its own, as `tutti up` starts it. */
export interface RealServer {
  url: string;
  pid: number;
  /** From the start of the process to its first answer, ms. */
  readyMs: number;
  stop(): Promise<void>;
}

interface Start {
  home: string;
  databaseUrl: string | null;
  /** The person's home: empty, so that nothing of this machine's person is looked at. Node keeps there what it has compiled. */
  userHome: string;
}

export async function startRealServer({ home, databaseUrl, userHome }: Start): Promise<RealServer> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  mkdirSync(userHome, { recursive: true });
  const main = join(import.meta.dirname, "..", "src", "main.ts");
  const setpriv = findProgram("setpriv");
  const words = [...(setpriv ? [setpriv, "--pdeathsig", "KILL"] : []), process.execPath, main, "start", "--background"];
  const began = performance.now();
  const server = spawn(words[0] ?? "", words.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      HOME: userHome,
      NODE_COMPILE_CACHE: join(userHome, ".cache", "tutti", "compiled"),
      TUTTI_HOME: home,
      TUTTI_PORT: "0",
      ...(databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }),
    },
  });
  let complaint = "";
  server.stderr.on("data", (chunk: Buffer) => void (complaint += chunk.toString()));
  const stop = (): Promise<void> => endChild(server, "SIGTERM", 30_000);
  const lines = createInterface({ input: server.stdout });
  const url = await Promise.race([
    (async () => {
      for await (const line of lines) if (line.startsWith("url=")) return line.slice(4);
      return null;
    })(),
    once(server, "exit").then(() => null),
  ]);
  if (url === null) {
    await stop();
    throw new Error(`the server did not start: ${complaint.slice(-1_000)}`);
  }
  const health = await fetch(`${url}/api/health`);
  const readyMs = performance.now() - began;
  if (!health.ok) throw new Error(`the server answers ${health.status}`);
  await health.arrayBuffer();
  return { url, pid: server.pid ?? 0, readyMs, stop };
}
