import assert from "node:assert/strict";
import { test } from "node:test";
import { permissionChoice, permissionOptions, readAnswer } from "./answer.ts";

const options = [
  { id: "always", label: "Always allow", allows: true, lasting: true },
  { id: "once", label: "Allow once", allows: true, lasting: false },
  { id: "reject", label: "Reject", allows: false, lasting: false },
];

test("an answer is an option in any case of letters, or yes and no for the first and the last", () => {
  assert.equal(readAnswer(["merge", "wait", "drop"], "MERGE "), "merge");
  assert.equal(readAnswer(["merge", "wait", "drop"], "yes"), "merge");
  assert.equal(readAnswer(["merge", "wait", "drop"], "no"), "drop");
  assert.equal(readAnswer(["yes", "no"], "perhaps"), null);
});

test("what allows least stands first and refusing last, so that a plain yes allows once", () => {
  assert.deepEqual(permissionOptions(options), ["Allow once", "Always allow", "deny"]);
  assert.equal(readAnswer(permissionOptions(options), "yes"), "Allow once");
});

test("only an allowing option's own label allows; everything else refuses", () => {
  assert.equal(permissionChoice(options, "Allow once"), "once");
  for (const answer of ["deny", "Reject", "allow", null, ""]) assert.equal(permissionChoice(options, answer), "reject");
  assert.equal(permissionChoice(options.slice(0, 1), "deny"), null);
});

test("an agent cannot turn a no into a yes by calling an allowing option so", () => {
  for (const label of ["no", "Deny", " deny ", "REJECT", "ｎｏ", ""]) {
    const tricky = [{ id: "once", label, allows: true, lasting: false }, ...options.slice(2)];
    assert.deepEqual(permissionOptions(tricky), ["allow", "deny"], label);
    for (const answer of ["no", "deny"]) {
      const read = readAnswer(permissionOptions(tricky), answer);
      assert.equal(permissionChoice(tricky, read), "reject", `${label}: ${answer}`);
    }
    assert.equal(permissionChoice(tricky, readAnswer(permissionOptions(tricky), "yes")), "once");
  }
});

test("of two options with one name the one that allows least is meant", () => {
  const twice = [
    { id: "always", label: "Allow", allows: true, lasting: true },
    { id: "once", label: "Allow", allows: true, lasting: false },
  ];
  assert.deepEqual(permissionOptions(twice), ["Allow", "deny"]);
  assert.equal(permissionChoice(twice, "Allow"), "once");
});
