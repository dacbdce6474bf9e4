import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { git, makeRepository, until } from "../../test/support/tutti.ts";
import { openGate } from "./gate.ts";
import { openWorkspaces } from "./open.ts";

const child = fileURLToPath(new URL("gate.child.ts", import.meta.url));

/** Two processes of one home: each may write to a mirror, never both at once. */
async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tutti-gate-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("two processes that refresh one mirror while its branches move never get in each other's way", () =>
  withFolder(async (folder) => {
    const home = join(folder, "home");
    mkdirSync(home);
    const source = makeRepository(join(folder, "source"), { "a.txt": "a\n" });
    const path = process.env["PATH"] ?? "/usr/bin:/bin";
    const workspaces = await openWorkspaces({ home, path, sandbox: "none", now: Date.now, personHome: "/nonexistent" });
    const told: string[] = [];
    const other = fork(child, [home, source, path]);
    other.on("message", (message) => void told.push(typeof message === "string" ? message : "no text"));
    await until("the other process to begin", () => told.length > 0);
    for (let round = 0; round < 25; round += 1) {
      git(source, "commit", "-q", "--allow-empty", "-m", `round ${round}`);
      await workspaces.refresh({ project: "shop", source, baseBranch: "main" });
    }
    await until("the other process to have its turns", () => told.length > 10);
    // Killed in the middle: the kernel opens the gate again.
    other.kill("SIGKILL");
    await workspaces.refresh({ project: "shop", source, baseBranch: "main" });
    assert.deepEqual(new Set(told), new Set(["refreshed"]));
  }));

test("who waits too long is told so, and what fails inside opens the gate again", () =>
  withFolder(async (folder) => {
    const [one, other] = [openGate(join(folder, "gates")), openGate(join(folder, "gates"), 50)];
    let leave = (): void => {};
    const inside = one("shop", () => new Promise<void>((resolve) => (leave = resolve)));
    await until("somebody to be inside", async () => (await other("shop", async () => "in").catch(() => "waits")) === "waits");
    await assert.rejects(
      other("shop", async () => {}),
      { code: "busy" },
    );
    assert.equal(await other("another", async () => "in"), "in");
    leave();
    await inside;
    await assert.rejects(
      other("shop", async () => Promise.reject(new Error("no"))),
      /no/,
    );
    assert.equal(await other("shop", async () => "in"), "in");
  }));
