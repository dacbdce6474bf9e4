import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import * as agents from "../agents/commands.ts";
import * as artifacts from "../artifacts/commands.ts";
import * as events from "../events/commands.ts";
import * as projects from "../projects/commands.ts";
import { command, query, type Entry } from "../registry.ts";
import * as sessions from "../sessions/commands.ts";
import * as access from "./commands.ts";
import { openServer } from "../../test/support/server.ts";
import { accessTable, accessViolations } from "./table.suite.ts";

const isEntry = (value: unknown): value is Entry => typeof value === "object" && value !== null && "kind" in value && "access" in value;
const entries = [access, agents, artifacts, events, projects, sessions].flatMap((nouns) => Object.values(nouns).filter(isEntry));

accessTable("projects, agents, sessions, events, artifacts, tokens", entries);

test("the table notices an entry that lets another session's agent in, and a command that asks nobody", async () => {
  const leaky = query({
    name: "leaky.get",
    help: "Looks at a session, and takes the caller's own for the one that it is about.",
    path: "/leaky/:id",
    input: z.object({ id: z.string() }),
    output: z.object({}),
    access: { session: async (_input, { actor }) => actor.session },
    run: async () => ({}),
  });
  const dead = command({
    name: "dead.end",
    help: "About no session, and still open to agents in its declaration.",
    input: z.object({}),
    output: z.object({}),
    access: { session: async () => null },
    decide: async () => ({ plan: null, result: {} }),
  });
  const server = await openServer({ entries: [leaky, dead] });
  try {
    const violations = await accessViolations([leaky, dead], server);
    assert.deepEqual(
      violations.map((line) => line.split(" got ", 1).join()).toSorted((a, b) => a.localeCompare(b)),
      ['dead.end: agent through the door "own"', 'leaky.get: another agent through the door "own"'],
    );
  } finally {
    await server.close();
  }
});
