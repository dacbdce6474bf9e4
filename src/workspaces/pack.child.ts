import { openWorkspaces } from "./open.ts";
import type { Repository } from "./workspace.ts";

/**
 * Carries one commit from one home to another, in a process that can collect its garbage (`--expose-gc`), and prints how many bytes went
 * through and how many it held at most beyond what it held before.
 */
interface Carry {
  homes: [string, string];
  personHome: string;
  path: string;
  repository: Repository;
  commit: string;
}

const { homes, personHome, path, repository, commit } = JSON.parse(process.argv[2] ?? "") as Carry;
const open = (home: string) => openWorkspaces({ home, path, sandbox: "bubblewrap", now: Date.now, personHome });
const [from, to] = [await open(homes[0]), await open(homes[1])];

function held(): number {
  globalThis.gc?.();
  const { external, heapUsed } = process.memoryUsage();
  return external + heapUsed;
}

const before = held();
let [bytes, most] = [0, 0];
async function* watched(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    bytes += chunk.byteLength;
    most = Math.max(most, held() - before);
    yield chunk;
  }
}
const pack = await from.pack({ repository, commit });
if (pack) await to.unpack({ repository, commit, bytes: watched(pack) });
console.log(JSON.stringify({ bytes, most, collects: globalThis.gc !== undefined }));
