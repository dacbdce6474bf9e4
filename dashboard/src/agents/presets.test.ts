import assert from "node:assert/strict";
import { test } from "node:test";
import { presets as known, presetsFor as knownFor } from "../../../src/agents/backends/presets/table.ts";
import { presets, presetsFor } from "./presets.ts";

test("the page offers the programs that the server knows, each in the ways that it can be used", () => {
  assert.deepEqual(Object.keys(presets).toSorted(), Object.keys(known).toSorted());
  for (const backend of ["acp", "command"] as const) assert.deepEqual(presetsFor(backend), knownFor(backend));
});

test("a model is no program", () => {
  assert.deepEqual(presetsFor("model"), []);
});
