// The model server as a process of its own: node test/support/model-server/main.ts --port 0 [--rules file.json] [--key secret]
// Prints `url=...` when it listens; GET /control/requests is its log; ends on SIGTERM, SIGINT, or when stdin closes with --follow.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { startModelServer, type Rule } from "./server.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    rules: { type: "string" },
    key: { type: "string" },
    follow: { type: "boolean", default: false },
  },
});
const rules = values.rules === undefined ? [] : (JSON.parse(await readFile(values.rules, "utf8")) as Rule[]);
const server = await startModelServer(rules, { port: Number(values.port), key: values.key });
console.log(`url=${server.url}`);

const end = (): void => void server.close().then(() => process.exit(0));
process.on("SIGTERM", end);
process.on("SIGINT", end);
if (values.follow) process.stdin.on("end", end).resume();
