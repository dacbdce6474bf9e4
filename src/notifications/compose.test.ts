import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { compose } from "./compose.ts";
import { ntfyAddress, type Notice } from "./notification.ts";
import { newSecret, readSecret, signatureHeaders } from "./sign.ts";

const notice: Notice = {
  topic: "needs you",
  reason: "question",
  project: "shop",
  projectName: "Shop",
  task: null,
  run: "R-1",
  title: "Shop: a question for you (R-1)",
  text: "Merge 3 fixes? ✓",
  path: "/inbox?item=A-1",
  at: 1_700_000_000_000,
};
const letter = { id: "ntf_1", notice, test: false, link: "http://127.0.0.1:7420/inbox?item=A-1", at: 1_700_000_100_000 };

test("the signature is that of Standard Webhooks: the example of its reference libraries", () => {
  const headers = signatureHeaders(
    { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", at: 1_614_265_330_999, body: '{"test": 2432232314}' },
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  );
  assert.deepEqual(headers, {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

test("a secret that is made can be read, is another one each time, and what is none is refused without being repeated", () => {
  assert.equal(readSecret(newSecret()).length, 32);
  assert.notEqual(newSecret(), newSecret());
  for (const secret of [
    "planted",
    "whsec_planted!",
    "whsec_",
    `whsec_${"A".repeat(20)}`,
    `whsec_${"A".repeat(120)}`,
    `whsk_${"A".repeat(40)}`,
  ]) {
    assert.throws(
      () => readSecret(secret),
      (error: Error) => !JSON.stringify(error).includes("planted") && /whsec_/.test(error.message),
      secret,
    );
  }
});

test("nothing is sent to a webhook without a signature", () => {
  const to = { kind: "webhook" as const, url: new URL("https://x.example/a?b=c") };
  assert.throws(() => compose(to, null, letter), { code: "invalid_input" });
  const { path, headers, body } = compose(to, newSecret(), letter);
  assert.equal(path, "/a?b=c");
  assert.equal(headers["webhook-timestamp"], "1700000100");
  const { type, timestamp, data } = JSON.parse(body) as { type: string; timestamp: string; data: Record<string, unknown> };
  assert.deepEqual([type, timestamp], ["notification.needs_you", "2023-11-14T22:13:20.000Z"]);
  assert.deepEqual([data["url"], data["text"], data["test"], data["path"]], [letter.link, notice.text, false, undefined]);
});

test("the documentation's few lines verify what is sent, and nothing else", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tutti-verify-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const text = readFileSync(new URL("../../docs/notifications.md", import.meta.url), "utf8");
  writeFileSync(join(folder, "verify.mjs"), /```js\n([\s\S]*?)```/.exec(text)?.[1] ?? "");
  const { verify } = (await import(pathToFileURL(join(folder, "verify.mjs")).href)) as {
    verify(headers: Record<string, string>, body: string, secret: string): boolean;
  };
  const secret = newSecret();
  const to = { kind: "webhook" as const, url: new URL("https://x.example/") };
  const { headers, body } = compose(to, secret, { ...letter, at: Date.now() });
  assert.equal(verify(headers, body, secret), true);
  assert.equal(verify({ ...headers, "webhook-signature": `v1,x ${headers["webhook-signature"]}` }, body, secret), true);
  assert.equal(verify(headers, `${body} `, secret), false);
  assert.equal(verify(headers, body, newSecret()), false);
  assert.equal(verify({ ...headers, "webhook-id": "ntf_2" }, body, secret), false);
  const old = compose(to, secret, { ...letter, at: Date.now() - 400_000 });
  assert.equal(verify(old.headers, old.body, secret), false);
  assert.equal(verify({}, body, secret), false);
});

test("ntfy gets JSON with the topic inside, urgent when a person is needed; a test is marked", () => {
  const to = { kind: "ntfy" as const, url: new URL("https://ntfy.example/base/topic-1") };
  const { path, headers, body } = compose(to, null, letter);
  assert.deepEqual([path, headers], ["/base/", { "content-type": "application/json" }]);
  assert.deepEqual(JSON.parse(body), {
    topic: "topic-1",
    title: notice.title,
    message: notice.text,
    priority: 4,
    tags: ["raised_hand"],
    click: letter.link,
  });
  assert.deepEqual((JSON.parse(compose(to, null, { ...letter, test: true }).body) as { tags: string[] }).tags, ["test_tube"]);
  assert.throws(() => compose({ kind: "ntfy", url: new URL("https://ntfy.example/") }, null, letter), { code: "invalid_input" });
});

test("an ntfy address ends in a topic of its letters, and never leads to another host", () => {
  const of = (text: string) => ntfyAddress(new URL(text));
  assert.deepEqual(of("https://ntfy.sh/My_topic-1"), { path: "/", topic: "My_topic-1" });
  assert.deepEqual(of("https://ntfy.sh//evil.example/topic"), { path: "//evil.example/", topic: "topic" });
  for (const none of [
    "https://ntfy.sh",
    "https://ntfy.sh/",
    "https://ntfy.sh/a/",
    "https://ntfy.sh/a.b",
    "https://ntfy.sh/a?x=1",
    `https://ntfy.sh/${"a".repeat(65)}`,
  ])
    assert.equal(of(none), null, none);
});
