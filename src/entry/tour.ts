import { fileURLToPath } from "node:url";
import { entries } from "../commands.ts";
import { AppError } from "../errors.ts";
import { nearest } from "../flows/suggest.ts";
import { isTerminal } from "../tasks/task.ts";
import { makeClient, type Client } from "./client.ts";
import { note, oneLine, print, shellWord, stateText, styled } from "./cli/output.ts";
import { readFlow } from "./cli/verbs/flow.ts";
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

interface TourOptions {
  agent: string | null;
  signal: AbortSignal;
  /** How the command line is called from where the person sits, e.g. `bin/tutti`. */
  command: string;
}

type TourClient = Client<typeof entries>;

const example = (file: string): string => fileURLToPath(new URL(`../../examples/tour/${file}`, import.meta.url));

/**
 * Runs what is left of the tour. Does nothing in a store that has other work in it. Throws AppError when the agent that was
 * asked for does not exist or cannot be used; then nothing was made.
 */
export async function runTour(server: TourServer, options: TourOptions): Promise<void> {
  const client = makeClient({ url: server.url, token: server.token, entries });
  try {
    await tour(client, server, options);
  } catch (error) {
    if (!options.signal.aborted) throw error;
  }
}

async function tour(client: TourClient, server: TourServer, { agent, signal, command }: TourOptions): Promise<void> {
  const who = await tourAgent(client, agent, command);
  const projects = (await client.query("project.list", { limit: 2 })).items;
  const folder = await server.sample();
  if (projects.some((project) => project.source !== folder)) {
    if (agent !== null) say(`the tour is for a new ${styled("bold", "TUTTI_HOME", stream())}: this one has work of its own`);
    return;
  }
  const project = await client.command("project.create", { folder, name: "sample" });
  const before = (await client.query("run.list", { project: project.id, limit: 50 })).items;
  const seen = before.find((run) => run.flow === "fix-bugs");
  const asked = before.find((run) => run.flow === "release-notes");
  if (seen && asked && (isTerminal(asked.state) || asked.state === "needs you")) {
    if (agent !== null) say(`the tour was run already (${seen.id}, ${asked.id}); with a new TUTTI_HOME it runs again`);
    return await invite(client, { folder, run: asked.id, command });
  }
  say(`\n${styled("bold", "The tour", stream())}  a sample repository with two bugs: ${folder}`);
  say(who.demo ? "by the built-in demo model: it really edits and tests, but it is no language model" : `by ${who.name}`);
  const fix = seen ?? (await start(client, project.id, "fix-bugs", who.name));
  await showRun(client, fix.id, "fix-bugs", signal);
  const notes = asked ?? (await start(client, project.id, "release-notes", who.name));
  await showRun(client, notes.id, "release-notes", signal);
  await invite(client, { folder, run: notes.id, command });
}

async function tourAgent(client: TourClient, wanted: string | null, command: string): Promise<{ name: string; demo: boolean }> {
  const agents = (await client.query("agent.list", { limit: 500 })).items;
  const found = agents.find((agent) => agent.name === (wanted ?? "demo"));
  if (!found) {
    const meant =
      nearest(
        wanted ?? "demo",
        agents.map((agent) => agent.name),
      ) ?? "demo";
    throw new AppError("not_found", `agent "${wanted ?? "demo"}" does not exist`, {
      why: `there are: ${agents.map((agent) => `${agent.name} (${agent.detection.state})`).join(", ")}`,
      fix: [`npm start -- --agent ${meant}`, `npm start -- --no-tour    then: ${command} agents add --help`],
    });
  }
  if (found.detection.state !== "ready") {
    throw new AppError("agent_unavailable", `agent "${found.name}" cannot be used: ${found.detection.state}`, {
      why: found.detection.message ?? undefined,
      fix: [...(found.detection.fix ? [found.detection.fix] : []), "npm start    (the tour with the built-in demo model)"],
    });
  }
  return found;
}

/** The key makes a repeated request harmless: a tour that was killed after the request and before its answer starts nothing twice. */
const start = (client: TourClient, project: string, flow: string, agent: string): Promise<{ id: string }> =>
  client.command(
    "run.create",
    { project, ...readFlow(example(`${flow}.yaml`)), agents: { tour: agent } },
    { key: `tour:${flow}:${agent}` },
  );

async function showRun(client: TourClient, run: string, flow: string, signal: AbortSignal): Promise<void> {
  say(`\n${styled("bold", flow, stream())}  ${run}`);
  const end = await watch(client, { run }, { untilAsked: true, signal, onEvent: (event) => say(describe(event, stream())) });
  // What ended or asks is told by its last event already.
  if (end.state === "needs you" && end.reason !== "question" && end.reason !== "approval") {
    say(`${stateText(end.state, end.reason, stream())}  ${styled("bold", flow, stream())}`);
  }
}

/** What can be done next, as commands that work when they are copied. */
async function invite(client: TourClient, { folder, run, command }: { folder: string; run: string; command: string }): Promise<void> {
  const open = (await client.query("approval.list", { state: "open", run })).items[0];
  const draft = (await client.query("run.steps", { id: run, limit: 500 })).items.find((step) => step.task !== null);
  say("");
  if (open) {
    say(`${stateText("needs you", null, stream())}  ${open.id}: ${oneLine(open.question)}`);
    say(`  look:     ${command} show ${open.id}`);
    if (draft) say(`            ${command} diff ${draft.task}`);
    say(`  approve:  ${command} approve ${open.id}`);
  }
  say(`  the result:  git -C ${shellWord(folder)} log --graph --oneline`);
}

const stream = (): NodeJS.WriteStream => (process.stdout.isTTY ? process.stdout : process.stderr);

const say = (line: string | null): void => {
  if (line === null) return;
  if (process.stdout.isTTY) print(line.replaceAll(/^(?=.)/gm, "  "));
  else note(line);
};
