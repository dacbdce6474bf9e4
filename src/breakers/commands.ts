import { z } from "zod";
import { notFound } from "../errors.ts";
import { command, listOf, Page, page, query } from "../registry.ts";
import { Breaker, toBreaker } from "./breaker.ts";
import { closed } from "./count.ts";
import { findBreaker, listBreakers, removeBreaker } from "./store.ts";

export const listBreakersQuery = query({
  name: "breaker.list",
  help: "Agents and providers that failed lately, and which of them are held back until when. What works well is not listed.",
  path: "/breakers",
  input: z.strictObject({ ...Page.shape }),
  output: listOf(Breaker),
  access: "person",
  cli: { verb: "breakers", columns: ["subject", "state", "failures", "retryAt", "reason"] },
  mcp: { tool: "list_breakers", group: "admin" },
  async run({ limit, cursor = "" }, { read }) {
    const { items, next } = page(await listBreakers(read, cursor, limit + 1), limit, ({ subject }) => subject);
    return { items: items.map(toBreaker), next };
  },
});

export const resetBreaker = command({
  name: "breaker.reset",
  help: "Use an agent or a provider again at once: its failures are forgotten.",
  input: z.strictObject({ subject: z.string().min(1).max(200).describe("as breaker.list names it: agent:<name> or provider:<name>") }),
  output: Breaker.pick({ subject: true }),
  access: "person",
  cli: { verb: "breakers reset", args: ["subject"] },
  mcp: { tool: "reset_breaker", group: "admin" },
  async decide({ subject }, { read, actor }) {
    const row = await findBreaker(read, subject);
    if (!row) throw notFound("breaker", subject, ["tutti breakers"]);
    const events = row.state === "closed" ? [] : [closed(subject, actor.name)];
    return { plan: { statements: [removeBreaker(row)], events }, result: { subject } };
  },
});
