import { dirname } from "node:path";
import { test } from "node:test";
import { runUnseen } from "../support/unseen.ts";

test("what a model writes through goose over ACP arrives on the branch of a repository never seen before", () => {
  const program = process.env.TUTTI_TEST_AGENT_GOOSE ?? "";
  return runUnseen({ backend: "acp", settings: { preset: "goose" }, path: `${dirname(program)}:${process.env.PATH}` });
});
