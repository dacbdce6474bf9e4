import assert from "node:assert/strict";
import test from "node:test";
import { mayGoElsewhere, retryAfter, tellingOf, type Miss } from "./failover.ts";

const now = 1_000_000;

test("Retry-After is seconds, a date, the exact header, or what Google writes into the body", () => {
  assert.equal(retryAfter({ "retry-after": "1.5" }, "", now), 1_500);
  assert.equal(retryAfter({ "retry-after": new Date(now + 9_000).toUTCString() }, "", now), 9_000);
  assert.equal(retryAfter({ "retry-after": "9", "retry-after-ms": "70" }, "", now), 70);
  assert.equal(retryAfter({ "retry-after": "soon" }, "", now), null);
  assert.equal(retryAfter(undefined, "", now), null);
  const body = JSON.stringify({ error: { details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34.5s" }] } });
  assert.equal(retryAfter({}, body, now), 34_500);
  assert.equal(retryAfter({ "retry-after": "2" }, body, now), 2_000);
});

test("another provider may do what this one cannot now, and a refused key is this one's own trouble; a wrong request is wrong everywhere", () => {
  for (const status of [null, 401, 408, 425, 429, 500, 503, 529]) assert.equal(mayGoElsewhere(status), true, String(status));
  for (const status of [200, 400, 403, 404, 413, 422]) assert.equal(mayGoElsewhere(status), false, String(status));
});

test("of several failures the soonest limit is told, else the newest that is no refused key", () => {
  const long: Miss = { status: 429, retryAfterMs: 9_000 };
  const short: Miss = { status: 429, retryAfterMs: 1_000 };
  const down: Miss = { status: null, retryAfterMs: null };
  const key: Miss = { status: 401, retryAfterMs: null };
  assert.equal(tellingOf([long, short, key]), short);
  assert.equal(tellingOf([short, long]), short);
  assert.equal(tellingOf([down, long, key]), long);
  assert.equal(tellingOf([long, down, key]), down);
  assert.equal(tellingOf([key]), key);
});
