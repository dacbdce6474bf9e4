// Installs node_modules when they are missing or differ from the lock; otherwise costs one read of the lock.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { runQuietly, SetupError } from "./command.mjs";

/**
 * Makes node_modules fit package-lock.json.
 * @param {string} root the repository
 */
export async function ensurePackages(root) {
  const lockText = readFileSync(join(root, "package-lock.json"), "utf8");
  const stamp = join(root, "node_modules/.tutti-packages");
  const wanted = createHash("sha256").update(lockText).digest("hex");
  if (read(stamp) === wanted) return;
  const release = await takeTurn(join(root, ".tutti/setup.lock"));
  try {
    if (read(stamp) === wanted) return;
    if (!isInstalled(JSON.parse(lockText), readInstalled(root))) await install(root);
    writeFileSync(stamp, wanted);
  } finally {
    release();
  }
}

function install(root) {
  // NODE_ENV=production in the environment must not leave the compiler out, so the kinds are named.
  const command = ["npm", "ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  return runQuietly("Installing packages (once, about a minute)", command, { cwd: root, log: join(root, ".tutti/npm-ci.log") });
}

/** What npm says that it installed: a person may have run `npm ci` by hand. */
function readInstalled(root) {
  const text = read(join(root, "node_modules/.package-lock.json"));
  return text === null ? null : JSON.parse(text);
}

/**
 * Whether what is installed is what the lock asks for on this machine.
 * @param {{ packages: Record<string, object> }} lock
 * @param {{ packages: Record<string, object> } | null} installed
 */
function isInstalled(lock, installed) {
  if (!installed) return false;
  const same = (path) => {
    const wanted = lock.packages[path];
    const found = installed.packages[path];
    return Boolean(wanted && found && wanted.version === found.version && wanted.integrity === found.integrity);
  };
  const missing = Object.keys(lock.packages).filter((path) => path !== "" && !same(path) && isForThisMachine(lock.packages[path]));
  return missing.length === 0 && Object.keys(installed.packages).every(same);
}

/** An optional package is only missed when it names this machine; the others may hang below one that names another machine. */
function isForThisMachine(entry) {
  if (!entry.optional) return true;
  const fits = (list, value) => !list || [list].flat().includes(value);
  const named = Boolean(entry.os || entry.cpu);
  return named && fits(entry.os, process.platform) && fits(entry.cpu, process.arch) && fits(entry.libc, libc());
}

function libc() {
  return process.platform === "linux" && existsSync("/etc/alpine-release") ? "musl" : "glibc";
}

/** Two commands started at once must not install into the same folder: the second waits for the first. */
export async function takeTurn(lock) {
  mkdirSync(join(lock, ".."), { recursive: true });
  for (const end = Date.now() + 600_000; Date.now() < end; await wait(200)) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      const release = () => rmSync(lock, { force: true });
      // A set-up that is ended by a signal leaves without unwinding.
      process.once("exit", release);
      return release;
    } catch (error) {
      if (error.code !== "EEXIST") throw new SetupError(`${lock} cannot be written: ${error.message}`);
      if (!isAlive(Number(read(lock)))) rmSync(lock, { force: true });
    }
  }
  throw new SetupError(`another set-up has held ${lock} for ten minutes; end it, or remove that file`);
}

function isAlive(pid) {
  // A lock that is empty is being written this moment.
  if (!pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

export function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}
