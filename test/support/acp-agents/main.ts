// A scripted ACP agent as a program: node main.ts good [resume|load|lies|none], or node main.ts <fault>; with the arguments of openclaw
// it is a gateway (gateway run --port N) or an agent that needs one (acp --url ws://127.0.0.1:N --token-file F).
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { beBad, faults } from "./bad.ts";
import { beGood, type Memory } from "./good.ts";

const given = process.argv.slice(2);
const [kind = "", memory = "resume"] = given;
const option = (name: string): string => given[given.indexOf(name) + 1] ?? "";
if (kind === "--version") console.log("scripted-agent 1.2.3");
else if (kind === "good") beGood(memory as Memory);
else if (kind === "gateway") beGateway(Number(option("--port")));
else if (kind === "acp") beBehindGateway(new URL(option("--url")).port, readFileSync(option("--token-file"), "utf8"));
else if (faults.includes(kind)) beBad(kind);
else {
  console.error(`there is no agent "${kind}"; there are: good, gateway, acp, ${faults.join(", ")}`);
  process.exitCode = 2;
}

function beGateway(port: number): void {
  if (process.env.GATEWAY_FAULT === "ends") {
    console.error("the gateway has no licence to listen");
    process.exit(3);
  }
  if (process.env.GATEWAY_FAULT === "deaf") setInterval(() => undefined, 60_000);
  else createServer((socket) => socket.on("error", () => undefined)).listen(port, "127.0.0.1");
}

function beBehindGateway(port: string, token: string): void {
  if (token !== process.env.OPENCLAW_GATEWAY_TOKEN) throw new Error("the gateway's token is another");
  connect(Number(port), "127.0.0.1").once("connect", () => beGood("resume"));
}
