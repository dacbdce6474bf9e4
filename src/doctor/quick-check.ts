import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

/** A thread of its own: a large store takes seconds to look at, and the server must go on meanwhile. */
const db = new DatabaseSync((workerData as { file: string }).file, { readOnly: true, timeout: 5000 });
try {
  const rows = db.prepare("pragma quick_check(3)").all() as { quick_check: string }[];
  parentPort?.postMessage(rows.map((row) => row.quick_check).join("; "));
} catch (error) {
  parentPort?.postMessage(error instanceof Error ? error.message : String(error));
} finally {
  db.close();
}
