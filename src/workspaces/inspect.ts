import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { invalidInput } from "../errors.ts";
import type { Git, RunOptions } from "./git.ts";
import { inSource } from "./mirror.ts";
import { cleanIdentity, shellWord, splitNul } from "./names.ts";
import type { Identity, Repository } from "./workspace.ts";

/** What a folder is, before a project is made of it. Every answer that is a no says how to get to a yes. */
export async function inspectFolder(git: Git, personHome: string, folder: string) {
  const path = resolve(folder);
  const cd = `cd ${shellWord(path)}`;
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw invalidInput(`${path} cannot be read`, error.message, [`ls -ld ${shellWord(path)}`]);
  });
  if (found === null) throw invalidInput(`${path} does not exist`, "a project is made of a folder with a git repository", ["pwd", "ls"]);
  if (!found.isDirectory()) throw invalidInput(`${path} is not a folder`, "a project is made of a folder with a git repository");

  const begin = [`${cd} && git init && git add -A && git commit -m first`];
  const at = (...args: string[]) => ["-c", "safe.bareRepository=all", "-C", path, ...args];
  const place = await git.run(at("rev-parse", "--is-bare-repository", "--is-inside-work-tree"), { ok: [128] });
  if (place.code !== 0) throw invalidInput(`${path} is not a git repository`, "agents work in clones of a git repository", begin);
  const [bare, insideWorkTree] = place.stdout.toString("utf8").trim().split("\n");
  if (bare === "true") {
    throw invalidInput(`${path} is a bare repository`, "it has no files that could be looked at or worked on", [
      `git clone ${shellWord(path)} ${shellWord(`${path.replace(/(\/?\.git)?\/*$/, "")}-work`)}`,
    ]);
  }
  if (insideWorkTree !== "true")
    throw invalidInput(`${path} is git's own folder`, "name the folder above it", [`cd ${shellWord(resolve(path, ".."))}`]);

  const top = (await git.text(at("rev-parse", "--show-toplevel"))) ?? path;
  const head = await git.text(at("rev-parse", "--quiet", "--verify", "HEAD^{commit}"));
  if (head === null) {
    throw invalidInput(`${top} has no commit yet`, "agents start from a commit", [
      `cd ${shellWord(top)} && git add -A && git commit -m first`,
    ]);
  }
  const branch = await git.text(at("symbolic-ref", "--quiet", "--short", "HEAD"));
  if (branch === null) {
    throw invalidInput(`${top} is not on a branch (its HEAD is detached)`, "results return to a branch", [
      `cd ${shellWord(top)} && git switch main`,
      `cd ${shellWord(top)} && git switch -c work`,
    ]);
  }
  const remote = await git.text(at("config", "--get", "remote.origin.url"));
  const dirty = await dirtyPaths(git, personHome, top);
  return { top, branch, head, name: basename(top), dirty, remote: remote === null ? null : withoutSecret(remote) };
}

/** Changed and untracked paths of the person's working tree, as they see them. */
export async function dirtyPaths(git: Git, personHome: string, top: string): Promise<string[]> {
  const flags = ["--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty"];
  const end = await git.run([...(await personExcludes(git, personHome, top)), "-C", top, "status", ...flags]);
  return splitNul(end.stdout).map((entry) => entry.slice(3));
}

/** Arguments of git by which the person's own list of ignored files counts. */
export async function personExcludes(git: Git, personHome: string, top: string): Promise<string[]> {
  const set = await git.text(["-C", top, "config", "--type=path", "--get", "core.excludesFile"], asPerson(personHome));
  return ["-c", `core.excludesFile=${set ?? join(personHome, ".config/git/ignore")}`];
}

/** The person's identity: their repository's, else their own configuration's, else a default that says what it is. */
export async function personIdentity(git: Git, personHome: string, repository: Repository): Promise<Identity> {
  const args = ["-c", "safe.directory=*", "config", "-z", "--get-regexp", "^user\\.(name|email)$"];
  const end = await git.run(inSource(repository, ...args), { ...asPerson(personHome), ok: [1] });
  // The last value of a key counts; each entry is the key, a line break, and the value.
  const values = new Map(splitNul(end.stdout).map((entry) => [entry.slice(0, entry.indexOf("\n")), entry.slice(entry.indexOf("\n") + 1)]));
  return cleanIdentity({ name: values.get("user.name") ?? "", email: values.get("user.email") ?? "" });
}

// The person's own configuration: for `git config`, which reads values and runs nothing, and for a push, which is theirs.
export const asPerson = (personHome: string): RunOptions => ({
  env: {
    HOME: personHome,
    XDG_CONFIG_HOME: undefined,
    GIT_CONFIG_GLOBAL: undefined,
    GIT_CONFIG_NOSYSTEM: undefined,
  },
});

/** Addresses are shown and stored: a password or token in one is neither. */
function withoutSecret(address: string): string {
  return address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, (whole, scheme: string) =>
    /^https?:/i.test(scheme) ? scheme : whole.replace(/:[^:@/]*@$/, "@"),
  );
}
