// Builds the dashboard when what it is made of has changed; otherwise costs reading its sources.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runQuietly } from "./command.mjs";
import { read, takeTurn } from "./packages.mjs";

/**
 * Makes dashboard/dist fit its sources (and those of src/ that it shares, and the packages).
 * @param {string} root the repository
 */
export async function ensureDashboard(root) {
  // A published package brings the built pages, not their sources.
  if (!existsSync(join(root, "dashboard/vite.config.ts"))) return;
  const stamp = join(root, "dashboard/dist/.stamp");
  if (read(stamp) === fingerprint(root)) return;
  const release = await takeTurn(join(root, ".tutti/dashboard.lock"));
  try {
    const wanted = fingerprint(root);
    if (read(stamp) === wanted) return;
    const bundled = join(root, "node_modules/.bin/node");
    const node = existsSync(bundled) ? bundled : process.execPath;
    const command = [node, join(root, "node_modules/vite/bin/vite.js"), "build", "--configLoader", "native", "--logLevel", "warn"];
    await runQuietly("Building the dashboard", command, { cwd: join(root, "dashboard"), log: join(root, ".tutti/dashboard.log") });
    writeFileSync(stamp, wanted);
  } finally {
    release();
  }
}

function fingerprint(root) {
  const hash = createHash("sha256").update(readFileSync(join(root, "package-lock.json")));
  const own = ["index.html", "vite.config.ts", "package.json"].map((name) => join(root, "dashboard", name));
  const files = [
    ...own,
    ...filesIn(join(root, "dashboard/src")),
    ...filesIn(join(root, "dashboard/public")),
    ...filesIn(join(root, "src")),
  ];
  for (const file of files.filter((path) => !/\.(test|suite|child)\.[a-z]+$/.test(path)).toSorted((a, b) => (a < b ? -1 : 1)))
    hash.update(file.slice(root.length)).update(readFileSync(file));
  return hash.digest("hex");
}

function filesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
