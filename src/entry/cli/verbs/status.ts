import { connect } from "../connect.ts";
import { age, oneLine, print, printJson, stateText, styled } from "../output.ts";
import { makeLink } from "./server.ts";

/** What runs, what waits for a person, who can work; with `link` a fresh way into the dashboard as the last line. */
export async function status({ link: wanted = false }: { link?: boolean }, json: boolean): Promise<void> {
  const { client, url } = await connect();
  const [running, open, agents, runs] = await Promise.all([
    client.query("task.list", { state: "queued,starting,running,needs you,paused", limit: 20 }),
    client.query("approval.list", { state: "open", limit: 20 }),
    client.query("agent.list", { limit: 100 }),
    client.query("run.list", { limit: 5 }),
  ]);
  const link = wanted ? await makeLink(client, url) : null;
  if (json) {
    return printJson({ tasks: running.items, approvals: open.items, agents: agents.items, runs: runs.items, ...(link ? { link } : {}) });
  }
  print(`${styled("bold", "Needs you")}  ${open.items.length}`);
  for (const item of open.items) {
    print(`  ${item.id}  ${oneLine(item.question)}  ${styled("dim", `${age(item.createdAt)} ago    tutti show ${item.id}`)}`);
  }
  print(`${styled("bold", "Work")}  ${running.items.length} open`);
  for (const task of running.items) {
    const who = task.run ? `${task.run}/${task.step}` : (task.agent ?? "");
    print(
      ["", task.id, stateText(task.state, task.reason), oneLine(who), oneLine(task.title)]
        .filter((part, index) => part || index === 0)
        .join("  "),
    );
  }
  if (runs.items.length > 0) print(styled("bold", "Latest runs"));
  for (const run of runs.items) print(`  ${run.id}  ${stateText(run.state, run.reason)}  ${oneLine(run.flow)}`);
  print(styled("bold", "Agents"));
  for (const agent of agents.items) {
    const busy = agent.active > 0 ? `, ${agent.active} of ${agent.limit} busy` : "";
    const fix = agent.detection.fix ? `  ${styled("dim", oneLine(agent.detection.fix))}` : "";
    print(`  ${agent.name}  ${agent.detection.state}${busy}${fix}`);
  }
  if (link) print(process.stdout.isTTY ? `${styled("bold", "Dashboard")}  ${link.url}    works once, within 5 minutes` : `url=${link.url}`);
}
