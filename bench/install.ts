import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { Peer } from "./peer.ts";

/**
 * The peers' packages lie outside of this repository ($TUTTI_BENCH_HOME, else ~/.cache/tutti-bench), one folder for each peer: they are
 * neither our dependencies nor each other's.
 */
const benchHome = (): string => process.env["TUTTI_BENCH_HOME"] ?? join(homedir(), ".cache", "tutti-bench");

export type Installed = { kind: "installed"; folder: string } | { kind: "missing"; why: string };

/** Installs what is not there yet, with the versions that the peer names. A peer that cannot be had is a value: the report says so. */
export function installPeer({ name, packages }: Peer): Installed {
  const folder = join(benchHome(), name);
  const stamp = join(folder, ".installed");
  // A binding is compiled for one Node.
  const wanted = JSON.stringify({ packages, node: process.versions.modules });
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return { kind: "installed", folder };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const builds = Object.fromEntries(Object.keys(packages).map((one) => [one, one === "better-sqlite3"]));
  const manifest = { name: `tutti-bench-${name}`, private: true, type: "module", dependencies: packages, allowScripts: builds };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
  const { status, stderr, error } = spawnSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    encoding: "utf8",
    timeout: 600_000,
    env: { ...process.env, ...nodeForBuilds() },
  });
  if (status !== 0) return { kind: "missing", why: `npm install failed: ${lastLine(stderr) ?? error?.message ?? "without a word"}` };
  writeFileSync(stamp, wanted);
  return { kind: "installed", folder };
}

/** A binding is built for the Node that runs this, whatever Node npm itself has; with its own headers where they are. */
function nodeForBuilds(): Record<string, string> {
  const root = dirname(dirname(process.execPath));
  const path = { PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter) };
  return existsSync(join(root, "include", "node", "node_api.h")) ? { ...path, npm_config_nodedir: root } : path;
}

const lastLine = (text: string): string | undefined =>
  text
    .split("\n")
    .filter((line) => line.includes("npm error") && !line.includes("complete log"))
    .at(-1)
    ?.replace("npm error ", "");
