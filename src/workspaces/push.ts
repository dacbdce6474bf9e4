import { GitError, type Git } from "./git.ts";
import { asPerson } from "./inspect.ts";
import { inSource } from "./mirror.ts";
import { checkBranch, shellWord } from "./names.ts";
import type { Push, Repository } from "./workspace.ts";

/**
 * A project whose branch belongs to a remote: what was delivered is pushed there, from the person's repository with their own
 * credentials, and never with force. Hooks do not run (they may live in the tree, where agents write). A remote that has moved on
 * is the person's to reconcile: they get the one command.
 */
export async function pushBranch(
  git: Git,
  personHome: string,
  { repository, branch: name }: { repository: Repository; branch: string },
): Promise<Push> {
  const branch = checkBranch(name);
  const person = asPerson(personHome);
  const config = (key: string) => git.text(inSource(repository, "config", "--get", key), person);
  const remote = (await config(`branch.${branch}.remote`)) ?? "origin";
  if (remote === "." || (await config(`remote.${remote}.url`)) === null) return { kind: "no remote" };
  const target = (await config(`branch.${branch}.merge`)) ?? `refs/heads/${branch}`;
  const helpers = await git.run(inSource(repository, "config", "--get-all", "-z", "credential.helper"), { ...person, ok: [1] });
  // Our own settings switch ssh and credential helpers off; here, and only here, the person's are wanted.
  const asTheyPush = ["-c", `core.sshCommand=${(await config("core.sshCommand")) ?? "ssh -o BatchMode=yes"}`].concat(
    helpers.stdout
      .toString("utf8")
      .split("\0")
      .filter(Boolean)
      .flatMap((helper) => ["-c", `credential.helper=${helper}`]),
  );
  const at = ["-C", repository.source, ...asTheyPush];
  try {
    await git.run([...at, "push", "--quiet", "--no-verify", "--", remote, `refs/heads/${branch}:${target}`], person);
    return { kind: "pushed", remote };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const shown = [remote, `${branch}:${target}`].map(shellWord).join(" ");
    return { kind: "refused", why: error.why ?? "git did not say why", command: `git -C ${shellWord(repository.source)} push ${shown}` };
  }
}
