import { z } from "zod";
import { runnerTokenPlan } from "../access/runner-token.ts";
import { Token } from "../access/token.ts";
import { command, query } from "../registry.ts";
import { listRunners, Runner } from "./store.ts";

export const createRunnerToken = command({
  name: "runner.token",
  help: "Make the token of a runner with a data folder of its own. Its text is shown once; it opens the runners' door and nothing else.",
  input: z.strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "small letters, digits and hyphens")
      .describe("the runner's name; its id is runner-<name>"),
  }),
  output: Token.extend({ token: z.string() }),
  access: "person",
  scope: "admin",
  secret: true,
  cli: { verb: "runner token", args: ["name"] },
  async decide({ name }, { now }) {
    const { token, text, plan } = runnerTokenPlan({ runner: `runner-${name}`, now });
    return { plan, result: { ...token, token: text } };
  },
});

export const listRunnersQuery = query({
  name: "runner.list",
  help: "The runners: whether each is there, which server it listens to, and how much it does and may do.",
  path: "/runners",
  input: z.strictObject({}),
  output: z.object({ items: z.array(Runner), next: z.string().nullable() }),
  access: "person",
  cli: { verb: "runner list", columns: ["id", "live", "epoch", "active", "capacity", "draining", "server"] },
  mcp: { tool: "list_runners", group: "admin" },
  async run(_input, { read }) {
    return { items: await listRunners(read), next: null };
  },
});
