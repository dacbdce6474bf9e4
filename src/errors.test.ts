import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AppError, conflict, errorFromBody, forbidden, invalidInput, isErrorCode, notFound, toAppError } from "./errors.ts";

describe("the one error object", () => {
  test("has a status and an exit code by its code, and tells whether it is worth trying again", () => {
    const busy = new AppError("busy", "later");
    assert.deepEqual([busy.name, busy.status, busy.exitCode, busy.retryable], ["AppError", 503, 9, true]);
    const full = new AppError("disk_full", "full");
    assert.equal(full.status, 507);
    assert.equal(new AppError("conflict", "no", { retryable: true }).retryable, true, "an error may know better than its code");
  });

  test("may say when it is worth trying again; that goes with the answer's head, not in its body", () => {
    assert.equal(new AppError("busy", "later", { retryAfterMs: 1_500 }).retryAfterMs, 1_500);
    assert.equal(new AppError("busy", "later").retryAfterMs, null);
    assert.equal(errorFromBody({ code: "busy" }, 2_000).retryAfterMs, 2_000);
  });

  test("goes over the wire and comes back as it was", () => {
    const sent = new AppError("invalid_input", "no", { why: "because", fix: ["do this"], retryable: true });
    const body: unknown = JSON.parse(JSON.stringify(sent));
    assert.deepEqual(body, { code: "invalid_input", message: "no", why: "because", fix: ["do this"], retryable: true });
    const got = errorFromBody(sent.toJSON());
    assert.ok(got instanceof AppError);
    assert.deepEqual(got.toJSON(), sent.toJSON());
  });

  test("of a newer server or of a body without anything is internal, and still an error with a message", () => {
    const unknown = errorFromBody({ code: "invented_later" as "internal", message: "who knows" });
    assert.deepEqual([unknown.code, unknown.message], ["internal", "who knows"]);
    assert.deepEqual(errorFromBody({}).toJSON(), {
      code: "internal",
      message: "the server gave no message",
      why: null,
      fix: [],
      retryable: false,
    });
  });

  test("knows its own codes, and not what every object has", () => {
    assert.equal(isErrorCode("not_found"), true);
    for (const other of ["constructor", "toString", "", "NOT_FOUND", null, 404]) assert.equal(isErrorCode(other), false);
  });

  test("is made of a full disk, however the machine or the database says it", () => {
    const said = [
      Object.assign(new Error("write"), { code: "ENOSPC" }),
      Object.assign(new Error("quota"), { code: "EDQUOT" }),
      new Error("database or disk is full"),
    ];
    for (const error of said) {
      const made = toAppError(error);
      assert.deepEqual([made.code, made.cause], ["disk_full", error]);
      assert.ok(made.fix.length > 0);
    }
  });

  test("is made of anything else without telling its inside", () => {
    for (const thing of [new Error("the secret is 42"), "the secret is 42", null, undefined, { code: 42 }]) {
      const made = toAppError(thing);
      assert.equal(made.code, "internal");
      assert.ok(!JSON.stringify(made).includes("42"));
      assert.equal(made.cause, thing);
    }
    const known = conflict("no");
    assert.equal(toAppError(known), known);
  });

  test("has a helper for what happens often", () => {
    const made = [
      notFound("task", "T-1", ["tutti ls"]),
      invalidInput("no", "why", ["fix"]),
      conflict("no", "why", ["fix"]),
      forbidden("no", "why"),
    ];
    assert.deepEqual(
      made.map(({ code, status }) => [code, status]),
      [
        ["not_found", 404],
        ["invalid_input", 400],
        ["conflict", 409],
        ["forbidden", 403],
      ],
    );
    assert.equal(made[0]?.message, 'task "T-1" does not exist');
    assert.deepEqual(notFound("task", "T-1").fix, []);
  });
});
