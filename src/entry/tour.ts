import { fileURLToPath } from "node:url";
import { entries } from "../commands.ts";
import { AppError } from "../errors.ts";
import { isTerminal } from "../tasks/task.ts";
import { makeClient, type Client } from "./client.ts";
import { note, oneLine, print, stateText, styled } from "./cli/output.ts";
import { readFlow } from "./cli/verbs/work.ts";
import { describe, watch } from "./cli/watch.ts";

/**
 * The tour of `npm start` on an empty store: a small sample repository with two bugs, one flow that has agents fix them and
 * merges, one that drafts release notes and waits for a person. It is an ordinary client of the server. Where it was cut off
 * it goes on: what is there already is not made again.
 */
export interface TourServer {
  url: string;
  token: string;
  /** Makes the sample repository in $TUTTI_HOME when it is not there yet; answers its folder. */
  sample(): Promise<string>;
}

const example = (file: string): string => fileURLToPath(new URL(`../../examples/tour/${file}`, import.meta.url));

/** Runs what is left of the tour. Does nothing in a store that has other work in it. Throws AppError when the agent does not exist. */
export async function runTour(server: TourServer, options: { agent: string | null; signal: AbortSignal }): Promise<void> {
  const client = makeClient({ url: server.url, token: server.token, entries });
  try {
    await tour(client, server, options);
  } catch (error) {
    if (!options.signal.aborted) throw error;
  }
}

async function tour(
  client: Client<typeof entries>,
  server: TourServer,
  { agent, signal }: { agent: string | null; signal: AbortSignal },
): Promise<void> {
  const projects = (await client.query("project.list", { limit: 2 })).items;
  const folder = await server.sample();
  if (projects.some((project) => project.source !== folder)) return;
  const project = await client.command("project.create", { folder, name: "sample" });
  const who = await tourAgent(client, agent);
  const before = (await client.query("run.list", { project: project.id, limit: 50 })).items;
  const seen = before.find((run) => run.flow === "fix-bugs");
  const asked = before.find((run) => run.flow === "release-notes");
  if (seen && asked && (isTerminal(asked.state) || asked.state === "needs you")) return invite(client, folder, asked.id);
  say(`\n${styled("bold", "The tour")}  a sample repository with two bugs: ${folder}`);
  say(who.demo ? "  by the built-in demo model: it really edits and tests, but it is no language model" : `  by ${who.name}`);
  const fix = seen ?? (await start(client, project.id, "fix-bugs", who.name));
  await showRun(client, fix.id, "fix-bugs", signal);
  const notes = asked ?? (await start(client, project.id, "release-notes", who.name));
  await showRun(client, notes.id, "release-notes", signal);
  return await invite(client, folder, notes.id);
}

async function tourAgent(client: Client<typeof entries>, wanted: string | null): Promise<{ name: string; demo: boolean }> {
  const agents = (await client.query("agent.list", { limit: 500 })).items;
  const found = agents.find((agent) => agent.name === (wanted ?? "demo"));
  if (!found) {
    throw new AppError("not_found", `agent "${wanted}" does not exist`, {
      why: `there are: ${agents.map((agent) => agent.name).join(", ")}`,
      fix: ["npm start"],
    });
  }
  if (found.detection.state !== "ready") {
    throw new AppError("agent_unavailable", `agent "${found.name}" cannot be used: ${found.detection.state}`, {
      why: found.detection.message ?? undefined,
      fix: found.detection.fix ? [found.detection.fix] : [],
    });
  }
  return found;
}

/** The key makes a repeated request harmless: a tour that was killed after the request and before its answer starts nothing twice. */
const start = (client: Client<typeof entries>, project: string, flow: string, agent: string): Promise<{ id: string }> =>
  client.command(
    "run.create",
    { project, ...readFlow(example(`${flow}.yaml`)), agents: { tour: agent } },
    { key: `tour:${flow}:${agent}` },
  );

async function showRun(client: Client<typeof entries>, run: string, flow: string, signal: AbortSignal): Promise<void> {
  say(`\n${styled("bold", flow)}  ${run}`);
  const end = await watch(client, { run }, { untilAsked: true, signal, onEvent: (event) => say(describe(event)) });
  say(`${stateText(end.state, end.reason)}  ${styled("bold", flow)}`);
}

async function invite(client: Client<typeof entries>, folder: string, run: string): Promise<void> {
  const open = (await client.query("approval.list", { state: "open", run })).items[0];
  say("");
  if (open) {
    say(`${stateText("needs you", null)}  ${open.id}: ${oneLine(open.question)}`);
    say(`   look:     bin/tutti show ${open.id}    bin/tutti diff <task>`);
    say(`   approve:  bin/tutti approve ${open.id}`);
  }
  say(`   the result:  git -C ${folder} log --oneline`);
}

const say = (line: string | null): void => {
  if (line === null) return;
  if (process.stdout.isTTY) print(line ? `  ${line}` : "");
  else note(line);
};
