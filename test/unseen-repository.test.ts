import { test } from "node:test";
import { runUnseen } from "./support/unseen.ts";

test("what a model writes through the in-process backend arrives on the branch of a repository never seen before", () =>
  runUnseen({ backend: "model", settings: {} }));
