// What the tests start beside Node: PostgreSQL 15 or newer, bubblewrap, Chromium. Found where it is; installed only as root on Debian.
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { runQuietly, SetupError } from "./command.mjs";

const oldestPostgres = 15;

/** Where the browser may be; TUTTI_TEST_BROWSER names another. */
const browsers = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/**
 * Makes sure that the tests find PostgreSQL, bubblewrap and Chromium.
 * @param {string} root the repository
 */
export async function ensureTestTools(root) {
  const missing = missingTools();
  if (missing.length === 0) return;
  if (canInstall()) await installWithApt(root, missing);
  const still = missingTools();
  if (still.length > 0) throw new SetupError(howToInstall(still));
}

function missingTools() {
  const missing = [];
  if (!process.env.TUTTI_TEST_POSTGRES && findPostgres() === null) missing.push("postgresql");
  // Only Linux has bubblewrap; elsewhere Tutti's tests use the other ways to end a process tree.
  if (process.platform === "linux" && findProgram("bwrap", searchPath()) === null) missing.push("bubblewrap");
  if (!process.env.TUTTI_TEST_BROWSER && !browsers.some((name) => findProgram(name, searchPath()))) missing.push("chromium");
  return missing;
}

/** The folder with the newest PostgreSQL's programs, or null when there is none that is new enough. */
function findPostgres() {
  // Debian keeps each version in a folder of its own, outside of PATH.
  const packaged = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql") : [];
  const folders = [...packaged.map((version) => join("/usr/lib/postgresql", version, "bin")), ...searchPath()];
  const found = folders.filter((folder) => findProgram("postgres", [folder]) && findProgram("initdb", [folder]));
  const known = found.map((folder) => ({ folder, version: versionOf(join(folder, "postgres")) }));
  const usable = known.filter(({ version }) => version >= oldestPostgres);
  usable.sort((a, b) => b.version - a.version);
  return usable[0]?.folder ?? null;
}

function versionOf(program) {
  try {
    const text = execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return Number(/ (\d+)[.\w]/.exec(text)?.[1] ?? 0);
  } catch {
    // A program that does not even say its version (another architecture, a broken link) is as good as none.
    return 0;
  }
}

function searchPath() {
  return (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
}

function findProgram(name, folders) {
  return folders.map((folder) => join(folder, name)).find(isProgram) ?? null;
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function canInstall() {
  return existsSync("/etc/debian_version") && process.getuid?.() === 0 && findProgram("apt-get", searchPath()) !== null;
}

async function installWithApt(root, packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = (name) => ({ cwd: root, env, log: join(root, `.tutti/apt-${name}.log`), stopSignal: "SIGINT" });
  const install = (names) => ["apt-get", "install", "-y", "--no-install-recommends", ...names];
  await runQuietly("Reading Debian's list of packages (once)", ["apt-get", "update"], options("update"));
  if (packages.includes("postgresql") && !existsSync("/etc/postgresql-common")) {
    await runQuietly("Installing postgresql-common (once)", install(["postgresql-common"]), options("common"));
    keepPostgresStopped();
  }
  await runQuietly(`Installing ${packages.join(", ")} (once)`, install(packages), options("install"));
}

/** Debian starts a server as soon as PostgreSQL is installed. The tests start their own, so the machine gets none that stays. */
function keepPostgresStopped() {
  const settings = "/etc/postgresql-common/createcluster.conf";
  const text = readFileSync(settings, "utf8");
  writeFileSync(settings, `${text.trimEnd()}\ncreate_main_cluster = false\n`);
}

function howToInstall(missing) {
  const names = missing.map((name) => (name === "postgresql" ? `PostgreSQL (${oldestPostgres} or newer)` : name)).join(" and ");
  return `The tests need ${names}, which ${missing.length === 1 ? "is" : "are"} not installed. Run this, then the same command again:\n  ${installCommand(missing)}`;
}

function installCommand(missing) {
  const onPath = (name) => findProgram(name, searchPath()) !== null;
  if (onPath("apt-get")) return `sudo apt-get install -y ${missing.join(" ")}`;
  if (onPath("dnf")) return `sudo dnf install -y ${missing.map((name) => (name === "postgresql" ? "postgresql-server" : name)).join(" ")}`;
  if (onPath("pacman")) return `sudo pacman -S --needed ${missing.join(" ")}`;
  if (onPath("brew")) return "brew install postgresql@17 && brew link postgresql@17";
  return `(your package manager) install ${missing.join(" ")}`;
}
