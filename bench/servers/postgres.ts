import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { findProgram, makeFolder, startServer, type Medium, type Owner, type RunningServer } from "./medium.ts";
import { freePort } from "./ports.ts";

export interface BenchPostgres extends RunningServer {
  /** The url of a new, empty database. */
  freshDatabase(): Promise<string>;
}

/** As its documentation recommends for a small machine of its own; nothing that could lose what was committed. */
const settings = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "512MB",
  max_wal_size: "4GB",
  checkpoint_timeout: "15min",
  max_connections: "200",
  jit: "off",
};

/** A cluster of its own on the medium, for Tutti and the peers alike. Throws when PostgreSQL is not installed. */
export async function startPostgres(medium: Medium): Promise<BenchPostgres> {
  const binaries = newestBinaries();
  const initdb = findProgram("initdb", binaries);
  const program = findProgram("postgres", binaries);
  if (!initdb || !program) throw new Error("PostgreSQL is not installed: apt-get install postgresql");
  const version = /(\d+(\.\d+)+)/.exec(execFileSync(program, ["--version"], { encoding: "utf8" }))?.[1] ?? "?";
  const owner = serverUser();
  const folder = await makeFolder(medium, "postgres");
  if (owner) await chown(folder, owner.uid, owner.gid);
  const password = randomBytes(16).toString("hex");
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (owner) await chown(passwordFile, owner.uid, owner.gid);
  const data = join(folder, "data");
  const words = ["-D", data, "-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--locale=C", "--no-sync"];
  execFileSync(initdb, words, { ...owner, cwd: folder, stdio: "ignore" });
  const port = await freePort();
  const place = { listen_addresses: "127.0.0.1", port: String(port), unix_socket_directories: folder };
  const choices = Object.entries({ ...settings, ...place }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = await startServer({
    medium,
    command: [program, "-D", data, ...choices],
    folder,
    owner,
    // A fast shutdown.
    signal: "SIGINT",
    isReady: () => isUp(join(data, "postmaster.pid")),
  });
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  const said = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return { ...server, url, about: `PostgreSQL ${version}, ${said.join(" ")}`, freshDatabase: () => createDatabase(url) };
}

function newestBinaries(): string[] {
  try {
    const versions = readdirSync("/usr/lib/postgresql").toSorted((one, other) => Number(other) - Number(one));
    return versions.map((version) => join("/usr/lib/postgresql", version, "bin"));
  } catch {
    return [];
  }
}

/** It refuses to run as root: then it runs as the user that its package made. */
function serverUser(): Owner | null {
  if (process.getuid?.() !== 0) return null;
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"));
  if (!line) throw new Error('PostgreSQL cannot run as root and there is no user "postgres": apt-get install postgresql');
  return { uid: Number(line[1]), gid: Number(line[2]) };
}

/** The last line of its pid file tells. */
function isUp(pidFile: string): boolean {
  try {
    return readFileSync(pidFile, "utf8").trimEnd().endsWith("ready");
  } catch {
    return false;
  }
}

async function createDatabase(url: string): Promise<string> {
  const name = `bench_${randomBytes(6).toString("hex")}`;
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`create database ${name}`);
  // What an earlier round left dirty is not written at the expense of this one.
  await client.query("checkpoint");
  await client.end();
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  return fresh.href;
}
