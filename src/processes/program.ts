import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from "node:fs";
import { basename, delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { hiddenPlaces, type HiddenPlaces } from "./hide.ts";
import { follow, isWithin, type Followed } from "./paths.ts";

const defaultPath = "/usr/local/bin:/usr/bin:/bin";
// A script's interpreter may itself be a script (version managers put such in between).
const interpreterDepth = 3;

/** The absolute path of a program as a shell would find it on `path`; null when there is none that can be executed. */
export function findProgram(name: string, path: string = defaultPath, cwd = "/"): string | null {
  if (name.includes("/")) return isExecutable(resolve(cwd, name)) ? resolve(cwd, name) : null;
  if (name === "") return null;
  return (
    path
      .split(delimiter)
      .map((folder) => resolve(cwd, folder, name))
      .find(isExecutable) ?? null
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * The folders that must be visible for a program that lies in a hidden place (a Node of ~/.nvm, a package below /root), as real
 * paths: the least that lets it run, never a home. [] for a program that every sandbox sees. `program` is an absolute path.
 */
export function readableFor(program: string): string[] {
  const found = follow(program);
  return found ? foldersFor(program, found, hiddenPlaces()) : [];
}

/** Both ends count: the folder in which the program is called by name (a link), and the one in which it really is. */
function foldersFor(program: string, found: Followed, hidden: HiddenPlaces): string[] {
  const roots = [...hidden.homes, ...hidden.empty, ...hidden.scratch];
  const stops = [program, ...found.links.map((link) => link.at), found.real].map((path) => realName(path)).filter((path) => path !== null);
  const folders = stops.flatMap((path) => {
    const root = roots.filter((place) => isWithin(path, place)).sort((a, b) => b.length - a.length)[0];
    return root === undefined ? [] : [folderFor(path, root, hidden)];
  });
  const unique = [...new Set(folders)];
  return unique.filter((folder) => !unique.some((other) => other !== folder && isWithin(folder, other)));
}

/** The path with its folders made real, but not its last name. */
function realName(path: string): string | null {
  const folder = follow(dirname(path));
  return folder && join(folder.real, basename(path));
}

function folderFor(path: string, root: string, hidden: HiddenPlaces): string {
  const isTooWide = (folder: string): boolean => hidden.homes.some((home) => isWithin(home, folder)) || isWithin(root, folder);
  const modules = outermostModules(path, root);
  if (modules !== null) return modules;
  const folder = dirname(path);
  if (isTooWide(folder)) return path;
  if (basename(folder) === "bin") {
    const prefix = dirname(folder);
    // ~/.local, ~/.cargo, ~/.codex: such a folder holds logins beside the programs.
    const holdsMore = isTooWide(prefix) || hidden.homes.includes(dirname(prefix));
    return holdsMore ? folder : prefix;
  }
  for (let at = folder; !isTooWide(at); at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return at;
  }
  return folder;
}

function outermostModules(path: string, root: string): string | null {
  const names = path.split("/");
  const start = root.split("/").length;
  const at = names.findIndex((name, index) => index >= start && name === "node_modules" && index < names.length - 1);
  return at === -1 ? null : names.slice(0, at + 1).join("/");
}

/**
 * The folders to show for a program and, when it is a script, for its interpreters. A program that lies where an agent writes, or is
 * reached through a link there, opens nothing: else a `#!` line or a link written by an agent would choose what its sandbox shows.
 */
export function programFolders(program: string, path: string | undefined, writable: readonly string[], hidden = hiddenPlaces()): string[] {
  const own = writable.flatMap((folder) => follow(folder)?.real ?? []);
  const folders = new Set<string>();
  let next: string | null = program;
  for (let depth = 0; next !== null && depth <= interpreterDepth; depth++) {
    const found: Followed | null = follow(next);
    if (!found || [found.real, ...found.links.map((link) => link.at)].some((place) => own.some((folder) => isWithin(place, folder)))) break;
    for (const folder of foldersFor(next, found, hidden)) folders.add(folder);
    const interpreter = interpreterOf(found.real);
    next = interpreter === null ? null : findProgram(interpreter, path);
  }
  return [...folders];
}

/** What a `#!` line names: an absolute path, or the name that env(1) looks up. null for a binary. */
function interpreterOf(file: string): string | null {
  const line = firstBytes(file).split("\n", 1)[0] ?? "";
  if (!line.startsWith("#!")) return null;
  const [command, ...rest] = line.slice(2).trim().split(/\s+/);
  if (command === undefined || !isAbsolute(command)) return null;
  if (basename(command) !== "env") return command;
  return rest.find((word) => !word.startsWith("-") && !word.includes("=")) ?? command;
}

function firstBytes(file: string): string {
  try {
    const descriptor = openSync(file, "r");
    try {
      const buffer = Buffer.alloc(256);
      return buffer.toString("latin1", 0, readSync(descriptor, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return ""; // executable but not readable: then it is no script
  }
}
