import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Measured, Peer, PeerRow, Place, Work } from "../peer.ts";

/** What the process of one peer and one round is told, as its only argument in JSON. */
export interface Order {
  /** The file of peers/ without its ending. */
  peer: string;
  row: PeerRow;
  url: string;
  serverPid: number | null;
  folder: string;
  /** Where its packages were installed. */
  packages: string;
  work: Work;
}

const order = JSON.parse(process.argv[2] ?? "{}") as Order;
const { peer } = (await import(`./${order.peer}.ts`)) as { peer: Peer };
const required = createRequire(pathToFileURL(join(order.packages, "package.json")));

/** As `import()` in its folder would find it, else as `require` does. */
async function load<Module>(name: string): Promise<Module> {
  const found = (await import(pathToFileURL(required.resolve(name)).href)) as { default?: Module } & Module;
  return found;
}

const place: Place = { url: order.url, serverPid: order.serverPid, folder: order.folder, load };
const run = peer.rows[order.row];
if (!run) throw new Error(`${order.peer} has no row ${order.row}`);
const measured: Measured = await run(place, order.work);
process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit(0));
