import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync } from "node:fs";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { Client } from "pg";

/** A PostgreSQL for tests: a cluster of its own in a temporary folder, or the one that TUTTI_TEST_POSTGRES names. */
export interface TestPostgres {
  /** Of the maintenance database, as its owner. */
  url: string;
  /** The url of a new, empty database. */
  freshDatabase(): Promise<string>;
  /** Ends it at once, as a crash of its machine's processes would, and starts it again on the same port. Only for a cluster of its own. */
  restart(): Promise<void>;
  /** Nothing of it is left when this resolves. Harmless twice. */
  stop(): Promise<void>;
}

interface Owner {
  uid: number;
  gid: number;
}

const run = promisify(execFile);

/** Starts (in about a second) or finds a PostgreSQL. Throws with the one thing to do when there is none on this machine. */
export async function startPostgres(): Promise<TestPostgres> {
  const running = process.env["TUTTI_TEST_POSTGRES"];
  return running ? useCluster(running) : startCluster();
}

async function useCluster(url: string): Promise<TestPostgres> {
  const made: string[] = [];
  return {
    url,
    freshDatabase: () => createDatabase(url, made),
    restart: () => Promise.reject(new Error("a PostgreSQL that others use is not restarted: unset TUTTI_TEST_POSTGRES")),
    async stop() {
      const names = made.splice(0);
      await withClient(url, async (client) => {
        for (const name of names) await client.query(`drop database if exists ${name} with (force)`);
      });
    },
  };
}

/** A cluster of its own, whatever TUTTI_TEST_POSTGRES says: for whoever restarts it. */
export async function startCluster(): Promise<TestPostgres> {
  const binaries = findBinaries();
  const owner = postgresUser();
  const folder = await mkdtemp(join(tmpdir(), "tutti-postgres-"));
  if (owner) await chown(folder, owner.uid, owner.gid);
  const password = randomBytes(16).toString("hex");
  await initialise(binaries, folder, owner, password);
  const { server: first, port } = await startServer(binaries, folder, owner);
  let server = first;
  const killNow = (): void => void server.kill("SIGQUIT");
  process.once("exit", killNow);
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  let stopping: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    await stopServer(server);
    process.off("exit", killNow);
    await rm(folder, { recursive: true, force: true });
  };
  const restart = async (): Promise<void> => {
    await stopServer(server);
    server = spawnServer(binaries, folder, owner, port);
    if (!(await isReady(server, folder))) throw new Error(`PostgreSQL did not start again: ${readFileSync(join(folder, "log"), "utf8")}`);
  };
  return { url, freshDatabase: () => createDatabase(url, []), restart, stop: () => (stopping ??= stop()) };
}

/** The newest version that a package installed, else what stands in the PATH. */
function findBinaries(): string {
  const packaged = "/usr/lib/postgresql";
  const versions = listFolder(packaged).toSorted((a, b) => Number(b) - Number(a));
  const folders = [...versions.map((version) => join(packaged, version, "bin")), ...(process.env["PATH"] ?? "").split(delimiter)];
  const found = folders.find((folder) => isExecutable(join(folder, "initdb")) && isExecutable(join(folder, "postgres")));
  if (!found)
    throw new Error("PostgreSQL is not installed: apt-get install postgresql, or set TUTTI_TEST_POSTGRES to the url of a running one");
  return found;
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** PostgreSQL refuses to run as root: then it runs as the user that its package made. */
function postgresUser(): Owner | null {
  if (process.getuid?.() !== 0) return null;
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((text) => text.startsWith("postgres:"));
  if (!line) throw new Error('PostgreSQL cannot run as root and there is no user "postgres": apt-get install postgresql');
  const [, , uid, gid] = line.split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

async function initialise(binaries: string, folder: string, owner: Owner | null, password: string): Promise<void> {
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (owner) await chown(passwordFile, owner.uid, owner.gid);
  const choices = ["-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--locale=C", "--no-sync"];
  await run(join(binaries, "initdb"), ["-D", join(folder, "data"), ...choices], { ...owner, cwd: folder });
}

async function startServer(binaries: string, folder: string, owner: Owner | null): Promise<{ server: ChildProcess; port: number }> {
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    const server = spawnServer(binaries, folder, owner, port);
    if (await isReady(server, folder)) return { server, port };
    const said = readFileSync(join(folder, "log"), "utf8");
    await stopServer(server);
    // Somebody else may have taken the port since it was seen free.
    if (tries === 3) throw new Error(`PostgreSQL did not start: ${said}`);
  }
}

function spawnServer(binaries: string, folder: string, owner: Owner | null, port: number): ChildProcess {
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: folder,
    fsync: "off",
    full_page_writes: "off",
    shared_buffers: "32MB",
    max_connections: "60",
    lc_messages: "C",
    deadlock_timeout: "100ms",
  };
  const choices = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const command = [join(binaries, "postgres"), "-D", join(folder, "data"), ...choices];
  // Should the test be killed, the kernel stops the server at once (SIGQUIT takes its children along).
  const wrapped = isExecutable("/usr/bin/setpriv") ? ["/usr/bin/setpriv", "--pdeathsig", "QUIT", ...command] : command;
  // Into a file: a pipe that nobody reads while a test blocks its event loop would stop the server.
  const log = openSync(join(folder, "log"), "a");
  const server = spawn(wrapped[0] ?? "", wrapped.slice(1), { ...owner, cwd: folder, stdio: ["ignore", log, log] });
  closeSync(log);
  // A test that forgets to stop it ends all the same, and takes it along (see `killNow`).
  server.unref();
  return server;
}

const startLimitMs = 20_000;

/** Whether it came up; the last line of its pid file tells. */
async function isReady(server: ChildProcess, folder: string): Promise<boolean> {
  const giveUp = performance.now() + startLimitMs;
  while (server.exitCode === null && server.signalCode === null && performance.now() < giveUp) {
    if (
      readOrEmpty(join(folder, "data", "postmaster.pid"))
        .trimEnd()
        .endsWith("ready")
    )
      return true;
    await pause(10);
  }
  return false;
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
  const exited = once(server, "exit");
  // An immediate shutdown: the cluster is thrown away, there is nothing to write down. SIGKILL would leave its children behind.
  server.kill("SIGQUIT");
  const late = setTimeout(() => server.kill("SIGKILL"), 10_000);
  await exited;
  clearTimeout(late);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

async function createDatabase(url: string, made: string[]): Promise<string> {
  const name = `tutti_test_${randomBytes(6).toString("hex")}`;
  await withClient(url, (client) => client.query(`create database ${name}`));
  made.push(name);
  const fresh = new URL(url);
  fresh.pathname = `/${name}`;
  return fresh.href;
}

async function withClient<Result>(url: string, use: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
