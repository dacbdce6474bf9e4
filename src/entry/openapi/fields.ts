import type { Schema } from "./schemas.ts";

/** What fields mean that have the same meaning wherever they are. A schema's own `.describe()` goes before. */
const texts: Record<string, string> = {
  active: "how many sessions it has now",
  agent: "an agent's name",
  answer: "what was answered; null: nothing yet",
  answeredAt: "when it was answered",
  answeredBy: "who answered",
  approval: "an approval's id (A-1)",
  at: "when",
  attempt: "the number of the attempt",
  attempts: "the tries so far",
  backend: "how the agent is reached",
  base: "the commit that the work started from",
  baseBranch: "the branch that work starts from and is merged into",
  branch: "the branch that holds the work",
  cachedTokens: "tokens that the provider had already",
  channel: "a channel's name",
  checks: "what the checks said",
  commit: "the commit that holds the work; null: nothing was changed",
  costUsd: "US dollars; null when nobody says",
  counts: "how many there are in each state",
  createdAt: "when it was made",
  cursor: "`next` of the page before",
  data: "what belongs to it, by type",
  demo: "whether the built-in demo model did it, which is no language model",
  detection: "what was found when it was looked for",
  diff: "a unified diff",
  enabled: "whether it is told of anything",
  env: "environment variables",
  expiresAt: "when it ends; null: never",
  files: "changed paths",
  finishedAt: "when it was over; null: it is not",
  fix: "what mends it",
  folder: "the absolute path of a folder in a git repository",
  hash: "SHA-256 over the canonical action",
  hasSecret: "whether it has a secret; it is not shown",
  id: "its id",
  inputs: "the flow's inputs by name",
  inputTokens: "tokens that were read",
  items: "one page of them",
  kind: "which kind it is",
  message: "what is to be said about it, in words",
  model: "the model's name, as its provider has it",
  name: "its name",
  needs: "the ids of the tasks that must be done before",
  next: "the cursor of the next page; null at the end",
  openApprovals: "how many questions are open",
  outcome: "how it ended",
  output: "what came out: text, or the value that fits the schema",
  outputTokens: "tokens that were written",
  priority: "higher goes first",
  project: "a project's id",
  projectName: "the project's name",
  prompt: "what was said to the agent",
  protocol: "what the provider speaks",
  reason: "why it is in its state",
  result: "what came out; null: nothing yet",
  revokedAt: "when it was made useless; null: it is good",
  role: "what it is, e.g. reviewer",
  run: "a run's id (R-1)",
  session: "a session's id (S-1)",
  settings: "how it is set up",
  since: "since when",
  skills: "what it can do, e.g. typescript",
  spec: "what is to be done",
  startedAt: "when it began",
  state: "the state that it is in",
  step: "a step's id within its run",
  store: "sqlite or postgres",
  task: "a task's id (T-1)",
  text: "what was said or done",
  title: "one line about it",
  token: "the token itself, shown this once",
  tokens: "tokens used so far, in and out",
  topics: "what it is told of",
  turn: "the number of the turn within its session",
  type: "which kind of event it is",
  updatedAt: "when it changed last",
  usage: "tokens and money",
  verified: "whether a check has passed; null: there was none",
  version: "its version",
};

/** In questions some fields have a meaning of their own. */
const inQuestions: Record<string, string> = { limit: "how many at most", state: "only those in this state" };
const only = new Set(["agent", "project", "run", "session", "task"]);

/** What a field of a query string means; null when nobody says. */
export function meaningOfParameter(name: string, schema: Schema, isInPath: boolean): string | null {
  if (typeof schema.description === "string") return schema.description;
  const text = inQuestions[name] ?? texts[name] ?? null;
  return text !== null && only.has(name) && !isInPath ? `only of this ${name}: ${text}` : text;
}

/** The same schema, where each field of its object says what it means if it can. */
export function withMeanings(schema: Schema): Schema {
  const { properties } = schema as { properties?: Record<string, Schema> };
  if (!properties) return schema;
  const described = Object.entries(properties).map(([name, field]): [string, Schema] => {
    const description = field.description ?? texts[name];
    return [name, description === undefined ? field : { ...field, description }];
  });
  return { ...schema, properties: Object.fromEntries(described) };
}
