// A scripted ACP agent as a program: node main.ts good [resume|load|none], or node main.ts <fault>.
import { beBad, faults } from "./bad.ts";
import { beGood, type Memory } from "./good.ts";

const [kind = "", memory = "resume"] = process.argv.slice(2);
if (kind === "--version") console.log("scripted-agent 1.2.3");
else if (kind === "good") beGood(memory as Memory);
else if (faults.includes(kind)) beBad(kind);
else {
  console.error(`there is no agent "${kind}"; there are: good, ${faults.join(", ")}`);
  process.exitCode = 2;
}
