import type { Entry } from "../../registry.ts";
import type { Schema, Schemas } from "./schemas.ts";

/**
 * What the documentation shows as input, for the project `shop` that holds a task T-1, a run R-1 and so on. Entries that are
 * not here get an example made from their schema: what is required, by its name and type.
 */
const written: Record<string, Record<string, unknown>> = {
  "agent.create": { name: "fixer", backend: "acp", settings: { preset: "goose" } },
  "agent.update": { name: "fixer", limit: 2 },
  "approval.answer": { id: "A-1", answer: "yes" },
  "artifact.get": { id: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" },
  "breaker.reset": { subject: "agent:fixer" },
  "event.list": { stream: "shop", limit: 20 },
  "flow.lint": { source: "name: greet\nsteps:\n  - id: hello\n    run: echo hello\n" },
  "link.redeem": { code: "k1yIM6ptW0VnkzpSLx0jW3nbgbqfXVKd6tC1Rrh4b9c" },
  "project.create": { folder: "/srv/shop" },
  "project.update": { id: "shop", settings: { limit: 4 } },
  "provider.set": { name: "local", baseUrl: "http://127.0.0.1:8080/v1", model: "qwen3-coder" },
  "run.create": { project: "shop", source: "name: greet\nsteps:\n  - id: hello\n    run: echo hello\n" },
  "run.list": { project: "shop", state: "running,needs you" },
  "task.create": { project: "shop", prompt: "Fix the failing test.", check: { run: "npm test", retry: 1 } },
  "task.list": { project: "shop", state: "running,queued" },
  "fleet.sessions": { project: "shop", state: "running,queued" },
  "task.reply": { id: "T-1", text: "Use the other function." },
  "token.create": { name: "dashboard on my phone" },
};

/** The ids of the example's things, by the noun that a field or an entry is about. */
const ids: Record<string, string> = {
  task: "T-1",
  run: "R-1",
  session: "S-1",
  approval: "A-1",
  project: "shop",
  agent: "fixer",
  provider: "local",
  stream: "shop",
};

/** An input of this entry that its schema takes. */
export function exampleOf(entry: Entry, schemas: Schemas): Record<string, unknown> {
  const { properties = {}, required = [] } = schemas.inputOf(entry) as { properties?: Record<string, Schema>; required?: string[] };
  const noun = entry.name.split(".")[0] ?? "";
  return (
    written[entry.name] ??
    Object.fromEntries(
      required.map((name) => [name, valueOf(name === "id" || name === "name" ? noun : name, properties[name] ?? {}, schemas)]),
    )
  );
}

function valueOf(name: string, schema: Schema, schemas: Schemas): unknown {
  const {
    $ref,
    type,
    enum: choices,
    items,
    minimum,
  } = schema as { $ref?: string; type?: string; enum?: unknown[]; items?: Schema; minimum?: number };
  if ($ref) return valueOf(name, schemas.components[$ref.slice($ref.lastIndexOf("/") + 1)] ?? {}, schemas);
  if (choices) return choices[0];
  if (type === "array") return [valueOf(name.replace(/s$/, ""), items ?? {}, schemas)];
  if (type === "integer" || type === "number") return Math.max(1, minimum ?? 1);
  if (type === "boolean") return true;
  if (type === "object") return {};
  return ids[name] ?? name;
}
