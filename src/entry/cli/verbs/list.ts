import type { Agent } from "../../../agents/agent.ts";
import { invalidInput } from "../../../errors.ts";
import { nearest } from "../../../flows/suggest.ts";
import { connect } from "../connect.ts";
import type { ListOptions } from "../grammar/look.ts";
import { wholeNumber } from "../options.ts";
import { age, note, oneLine, print, printJson, stateText, table, type Column, type ListView } from "../output.ts";

/** "idle" says it; the state's own word for an agent without work is "queued". */
const agentState = (agent: Agent): string => (agent.reason === "idle" ? stateText("idle", null) : stateText(agent.state, agent.reason));

const lists = ["tasks", "runs", "approvals", "agents", "projects", "sessions"];

/** Throws AppError invalid_input for a list that there is not, not_found for a project that there is not. */
export async function ls(what: string, options: ListOptions, view: ListView, json: boolean): Promise<void> {
  const { client } = await connect();
  const limit = wholeNumber("--limit", options.limit, 1);
  const { project, state } = options;
  // A name that was mistyped would look like a project without work.
  if (project !== undefined) await client.query("project.get", { id: project });
  const filtered = project !== undefined || state !== undefined;
  const out = <Row>(rows: Row[], columns: Column<Row>[], nothing: string): void => {
    if (json) printJson({ items: rows });
    else if (rows.length > 0) print(table(rows, columns, view));
    else note(filtered ? "nothing fits" : nothing);
  };
  switch (lists.find((name) => name === what || name === `${what}s`)) {
    case "tasks":
      return out(
        (await client.query("task.list", { project, state, limit })).items,
        [
          { title: "ID", value: (task) => task.id },
          { title: "STATE", value: (task) => stateText(task.state, task.reason) },
          { title: "AGENT", value: (task) => task.agent ?? "" },
          { title: "PROJECT", value: (task) => task.project },
          { title: "STEP", value: (task) => (task.run ? `${task.run}/${task.step}` : "") },
          { title: "AGE", value: (task) => age(task.createdAt) },
          { title: "SESSION", value: (task) => task.session ?? "", wide: true },
          { title: "ATTEMPT", value: (task) => String(task.attempt), wide: true },
          { title: "CREATED", value: (task) => new Date(task.createdAt).toISOString(), wide: true },
          { title: "TITLE", value: (task) => oneLine(task.title) },
          { title: "MESSAGE", value: (task) => oneLine(task.message ?? ""), wide: true },
        ],
        'no tasks yet: tutti run "fix the failing test"',
      );
    case "runs":
      return out(
        (await client.query("run.list", { project, state, limit })).items,
        [
          { title: "ID", value: (run) => run.id },
          { title: "STATE", value: (run) => stateText(run.state, run.reason) },
          { title: "FLOW", value: (run) => run.flow },
          { title: "PROJECT", value: (run) => run.project },
          { title: "AGE", value: (run) => age(run.createdAt) },
          { title: "CREATED", value: (run) => new Date(run.createdAt).toISOString(), wide: true },
          { title: "MESSAGE", value: (run) => oneLine(run.message ?? ""), wide: true },
        ],
        "no runs yet: tutti flow run <file>",
      );
    case "approvals":
      return out(
        (await client.query("approval.list", { project, state: state === undefined ? "open" : (state as "open"), limit })).items,
        [
          { title: "ID", value: (approval) => approval.id },
          { title: "STATE", value: (approval) => stateText(approval.state, null) },
          { title: "FOR", value: (approval) => approval.task ?? `${approval.run}/${approval.step}` },
          { title: "OPTIONS", value: (approval) => approval.options.map(oneLine).join(", ") },
          { title: "AGE", value: (approval) => age(approval.createdAt) },
          { title: "QUESTION", value: (approval) => oneLine(approval.question) },
        ],
        "nothing waits for you",
      );
    case "agents":
      return out(
        (await client.query("agent.list", { limit })).items,
        [
          { title: "NAME", value: (agent) => agent.name },
          { title: "BACKEND", value: (agent) => agent.backend },
          { title: "STATE", value: agentState },
          { title: "SESSIONS", value: (agent) => `${agent.active}/${agent.limit}` },
          { title: "DETECTED", value: (agent) => [agent.detection.state, agent.detection.version ?? ""].join(" ").trim() },
          { title: "FIX", value: (agent) => agent.detection.fix ?? "" },
        ],
        "no agents",
      );
    case "projects":
      return out(
        (await client.query("project.list", { limit })).items,
        [
          { title: "ID", value: (item) => item.id },
          { title: "BRANCH", value: (item) => item.baseBranch },
          { title: "SANDBOX", value: (item) => item.settings.sandbox },
          { title: "FOLDER", value: (item) => item.source },
        ],
        "no projects yet: tutti projects add <folder>",
      );
    case "sessions":
      return out(
        (await client.query("session.list", { project, limit })).items,
        [
          { title: "ID", value: (session) => session.id },
          { title: "STATE", value: (session) => stateText(session.state, session.reason) },
          { title: "AGENT", value: (session) => `${session.agent}${session.demo ? " (demo model)" : ""}` },
          { title: "TASK", value: (session) => session.task },
          { title: "BRANCH", value: (session) => session.branch },
        ],
        "no sessions yet",
      );
    default:
      throw invalidInput(`there is no list "${what}"`, `there are: ${lists.join(", ")}`, [`tutti ls ${nearest(what, lists) ?? "tasks"}`]);
  }
}

/** Where models are. Keys are never shown. */
export async function providers(view: ListView, json: boolean): Promise<void> {
  const { client } = await connect();
  const { items } = await client.query("provider.list", {});
  if (json) return printJson({ items });
  if (items.length === 0) return note("no providers yet: tutti providers set local --base-url http://127.0.0.1:11434/v1 --model qwen3");
  const columns = [
    { title: "NAME", value: (item: (typeof items)[number]) => item.name },
    { title: "MODEL", value: (item: (typeof items)[number]) => item.model },
    { title: "KEY", value: (item: (typeof items)[number]) => (item.keyName ? "kept by the server" : "none") },
    { title: "ADDRESS", value: (item: (typeof items)[number]) => item.baseUrl },
  ];
  print(table(items, columns, view));
}

/** Tokens of people, without their texts. */
export async function tokens(view: ListView, json: boolean): Promise<void> {
  const { client } = await connect();
  const { items } = await client.query("token.list", {});
  if (json) return printJson({ items });
  const columns: Column<(typeof items)[number]>[] = [
    { title: "ID", value: (item) => item.id },
    { title: "KIND", value: (item) => item.kind },
    { title: "NAME", value: (item) => oneLine(item.name) },
    { title: "SCOPES", value: (item) => item.scopes?.join(", ") ?? "all", wide: true },
    { title: "CREATED", value: (item) => new Date(item.createdAt).toISOString() },
    { title: "EXPIRES", value: (item) => (item.expiresAt ? new Date(item.expiresAt).toISOString() : ""), wide: true },
    { title: "REVOKED", value: (item) => (item.revokedAt ? new Date(item.revokedAt).toISOString() : "") },
  ];
  print(table(items, columns, view));
}
