import { mkdir, realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { openArtifacts } from "../../../artifacts/open.ts";
import { restoreBackup, type Restored, type Unknown } from "../../../backups/restore.ts";
import { readConfig, type Config } from "../../../config.ts";
import { lockHome } from "../../../db/lock.ts";
import { openWorkspaces } from "../../../workspaces/open.ts";
import { note, oneLine, print, printJson } from "../output.ts";

/** Brings a backup into this home (and the database of DATABASE_URL), both empty, with no server on them. */
export async function restore(folder: string, json: boolean): Promise<void> {
  const config = readConfig();
  await mkdir(config.home, { recursive: true, mode: 0o700 });
  const home = await realpath(config.home);
  const lock = lockHome(home);
  try {
    const restored = await restoreBackup({
      folder: resolve(folder),
      databaseUrl: config.databaseUrl,
      now: Date.now(),
      ...placesOf(home, config),
    });
    if (json) printJson(restored);
    else say(restored);
  } finally {
    lock.release();
  }
}

/** A home's parts, for whoever works on it without a server. */
export const placesOf = (home: string, { databaseUrl, path, userHome }: Config) => ({
  home,
  openArtifacts: () => openArtifacts({ home, databaseUrl }),
  // Nothing that an agent wrote is read here, so nothing needs to be confined.
  openWorkspaces: () => openWorkspaces({ home, path, sandbox: "none", now: Date.now, personHome: userHome }),
});

const shownTasks = 20;

function say({ at, rows, events, artifacts, mirrors, missingArtifacts, missingEvents, ms, unknown }: Restored): void {
  print(`restored the backup of ${new Date(at).toISOString()} in ${(ms / 1000).toFixed(1)} s`);
  note(`${rows} rows, ${events} events (${missingEvents} missing), ${artifacts} artifacts, ${mirrors} mirrors`);
  if (missingArtifacts.length > 0) note(`not whole in the backup: the artifacts ${missingArtifacts.slice(0, shownTasks).join(", ")}`);
  for (const line of whatIsUnknown(unknown)) note(line);
  note("tokens that were revoked since the backup are good again: tutti token list");
  note("keys of providers are not in a backup: tutti doctor keys");
  note("next: tutti up");
}

/** What the backup cannot know: work may have ended, been merged, pushed or told since. */
function whatIsUnknown({ tasks, runs, deliveries, approvals }: Unknown): string[] {
  const lines: string[] = [];
  if (tasks.length > 0) {
    lines.push(
      `${tasks.length} tasks were not over; they may have ended, been merged or pushed since, and are done again unless you stop them:`,
    );
    for (const { id, state, title } of tasks.slice(0, shownTasks)) lines.push(`  ${id}  ${state}  ${oneLine(title)}`);
    if (tasks.length > shownTasks) lines.push(`  and ${tasks.length - shownTasks} more: tutti ls`);
  }
  if (runs.length > 0)
    lines.push(
      `${runs.length} runs were not over: ${runs
        .slice(0, shownTasks)
        .map(({ id }) => id)
        .join(", ")}`,
    );
  if (approvals > 0) lines.push(`${approvals} questions were open; answers given since are lost`);
  if (deliveries > 0) lines.push(`${deliveries} notifications were to be sent, and may be sent a second time`);
  lines.push("tasks that were made after the backup are gone; what they merged or pushed stands in your repositories");
  return lines;
}
