import { dirname } from "node:path";
import { test } from "node:test";
import { runUnseen } from "../support/unseen.ts";

test("what a model writes through OpenCode over ACP arrives on the branch of a repository never seen before", () => {
  const program = process.env.TUTTI_TEST_AGENT_OPENCODE ?? "";
  return runUnseen({ backend: "acp", settings: { preset: "opencode" }, path: `${dirname(program)}:${process.env.PATH}` });
});
