import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { AppError } from "../errors.ts";
import { hasRoom, reserveOf, tellIfFull, watchSpace } from "./space.ts";

const folder = mkdtempSync(join(tmpdir(), "tutti-space-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("the reserve is one percent of the disk, and at most 64 MB", () => {
  assert.equal(reserveOf(1000 * 1024 ** 2), 10 * 1024 ** 2);
  assert.equal(reserveOf(2 * 1024 ** 4), 64 * 1024 ** 2);
});

test("work ends below the reserve, and begins again with half as much more", () => {
  const reserve = 100;
  for (const [before, free, room] of [
    [true, 100, true],
    [true, 99, false],
    [false, 149, false],
    [false, 150, true],
  ] as const) {
    assert.equal(hasRoom(before, { free, reserve }), room, `${before} ${free}`);
  }
});

test("a refused write is believed at once, until a look finds room; a disk that cannot be asked changes nothing", async () => {
  const told: boolean[] = [];
  const space = watchSpace({ folder, onChange: (mayStart) => told.push(mayStart), everyMs: 3_600_000 });
  assert.equal(space.mayStart(), true);
  space.refused();
  space.refused();
  assert.equal(space.mayStart(), false);
  await space.look();
  assert.equal(space.mayStart(), true);
  assert.deepEqual(told, [false, true], "each change is told once");
  assert.ok((space.seen()?.free ?? 0) > 0);
  space.stop();
  space.stop();

  const lost = watchSpace({ folder: join(folder, "nowhere"), everyMs: 3_600_000 });
  await lost.look();
  assert.equal(lost.mayStart(), true);
  lost.stop();
});

test("what was refused during a look is newer than what the look saw", async () => {
  const space = watchSpace({ folder, everyMs: 3_600_000 });
  const looking = space.look();
  space.refused();
  await looking;
  assert.equal(space.mayStart(), false);
  space.stop();
});

test("only an error for want of room counts", () => {
  let refused = 0;
  const count = (): void => void (refused += 1);
  assert.throws(() => tellIfFull(new AppError("busy", "busy"), count), { code: "busy" });
  assert.throws(() => tellIfFull(new AppError("disk_full", "full"), count), { code: "disk_full" });
  assert.equal(refused, 1);
});

/** A tmpfs of the child's alone; null where that is not allowed. */
function smallDisk(): string[] | null {
  const unshare = process.getuid?.() === 0 ? ["--mount"] : ["--map-root-user", "--mount"];
  try {
    execFileSync("unshare", [...unshare, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], { stdio: "ignore" });
    return unshare;
  } catch {
    return null;
  }
}

test(
  "on a real small disk: no new work below the reserve, none while a write fails, and again by itself",
  { skip: smallDisk() === null },
  async () => {
    const program = fileURLToPath(new URL("./store.child.ts", import.meta.url));
    const script = 'mount -t tmpfs -o size=24m,mode=700 tmpfs "$1" && shift && exec "$@"';
    const child = spawn("unshare", [...(smallDisk() ?? []), "sh", "-c", script, "sh", folder, process.execPath, program, "space", folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(said), {
      empty: true,
      belowReserve: false,
      full: "disk_full",
      whenFull: false,
      again: true,
      changes: [false, true, false, true],
    });
  },
);
