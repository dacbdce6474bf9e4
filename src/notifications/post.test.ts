import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { suite, test, type TestContext } from "node:test";
import { startReceiver, type Receiver } from "../../test/support/receiver.ts";
import { makeOutbound, type Address } from "./outbound.ts";
import { post, type Answer } from "./post.ts";

/** What really goes over the wire: only to what was checked, once, and with little read of what comes back. */
const loopback: Address[] = [{ address: "127.0.0.1", family: 4 }];
const letter = { path: "/hook?x=1", headers: { "content-type": "application/json" }, body: '{"a":"ä"}' };
const time = (): AbortSignal => AbortSignal.timeout(10_000);

async function receiver(t: TestContext): Promise<Receiver> {
  const started = await startReceiver();
  t.after(() => started.close());
  return started;
}

const to = ({ port }: Receiver, host = "hook.example"): { url: URL; addresses: Address[] } => ({
  url: new URL(`http://${host}:${port}/elsewhere`),
  addresses: loopback,
});

const assertAnswered = (answer: Answer): Extract<Answer, { kind: "answered" }> => {
  assert.equal(answer.kind, "answered");
  return answer as Extract<Answer, { kind: "answered" }>;
};

suite("one request to a checked target", () => {
  test("goes to the address that was checked, under the name that was given, and asks no resolver", async (t) => {
    const hook = await receiver(t);
    // hook.example resolves nowhere: only the checked address can have been used.
    const { status } = assertAnswered(await post(to(hook), letter, time()));
    assert.equal(status, 204);
    const [received] = hook.received;
    assert.deepEqual([received?.method, received?.path, received?.body], ["POST", letter.path, letter.body]);
    assert.equal(received?.headers.host, `hook.example:${hook.port}`);
    assert.equal(received?.headers.authorization, undefined);
  });

  test("a name that means another address a moment later is asked for once, and then not believed again", async (t) => {
    const hook = await receiver(t);
    let asked = 0;
    // Rebinding: the allowed place for the check, and another one for the connection.
    const outbound = makeOutbound({
      allow: [`hook.example:${hook.port}`],
      resolve: async () => ((asked += 1) === 1 ? loopback : [{ address: "127.0.0.2", family: 4 }]),
    });
    const target = await outbound.check(`http://hook.example:${hook.port}/`);
    assertAnswered(await post(target, letter, time()));
    assert.equal(asked, 1);
    assert.equal(hook.received.length, 1);
  });

  test("a name that turned private since it was set is refused before anything is sent", async (t) => {
    const hook = await receiver(t);
    let addresses: Address[] = [{ address: "93.184.216.34", family: 4 }];
    const outbound = makeOutbound({ allow: [], resolve: async () => addresses });
    await outbound.check("http://hook.example/");
    addresses = loopback;
    await assert.rejects(outbound.check("http://hook.example/"), { code: "invalid_input" });
    assert.equal(hook.received.length, 0);
  });

  test("a redirect to loopback (or anywhere) is an answer and is not followed", async (t) => {
    const [hook, inner] = [await receiver(t), await receiver(t)];
    for (const status of [301, 302, 303, 307, 308]) {
      hook.answer((response) => void response.writeHead(status, { location: `http://127.0.0.1:${inner.port}/latest/meta-data` }).end());
      assert.equal(assertAnswered(await post(to(hook), letter, time())).status, status);
    }
    assert.equal(hook.received.length, 5);
    assert.equal(inner.received.length, 0);
  });

  test("of an answer without an end 4 KB are read, and the connection is closed", async (t) => {
    const hook = await receiver(t);
    const closed = Promise.withResolvers<void>();
    let written = 0;
    hook.answer((response) => {
      response.writeHead(200);
      const more = (): void => {
        do written += 16_384;
        while (!response.destroyed && response.write("x".repeat(16_384)));
      };
      response.on("drain", more);
      response.on("close", closed.resolve);
      more();
    });
    const { status, said } = assertAnswered(await post(to(hook), letter, time()));
    assert.deepEqual([status, said.length], [200, 4096]);
    await closed.promise;
    // As much as lies in the buffers between, and not what ten seconds would bring.
    assert.ok(written < 20_000_000, `${written} bytes`);
  });

  test("a status stands also when its body never ends; without one the time limit is an outcome", async (t) => {
    const hook = await receiver(t);
    hook.answer((response) => void response.writeHead(200).write("so far"));
    assert.deepEqual(await post(to(hook), letter, AbortSignal.timeout(200)), { kind: "answered", status: 200, said: "so far" });
    hook.answer(() => undefined);
    assert.deepEqual(await post(to(hook), letter, AbortSignal.timeout(50)), { kind: "unreachable", why: "no answer in time" });
  });

  test("a receiver that is not there, breaks off, changes the protocol or sends no HTTP is an outcome, not an error", async (t) => {
    const hook = await receiver(t);
    hook.answer((response) => void response.socket?.destroy());
    assert.equal((await post(to(hook), letter, time())).kind, "unreachable");
    hook.answer((response) => void response.socket?.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"));
    assert.equal((await post(to(hook), letter, time())).kind, "unreachable");
    hook.answer((response) => void response.socket?.end("220 mail.example ESMTP\r\n"));
    assert.equal((await post(to(hook), letter, time())).kind, "unreachable");
    hook.answer((response) => void response.socket?.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`));
    assert.equal((await post(to(hook), letter, time())).kind, "unreachable");
    await hook.close();
    assert.deepEqual(await post(to(hook), letter, time()), { kind: "unreachable", why: "ECONNREFUSED" });
  });

  test("a certificate that nobody vouches for is not accepted, whatever the environment says", async (t) => {
    let requests = 0;
    const server = createServer(selfSigned("hook.example"), (_request, response) => {
      requests += 1;
      response.end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    t.after(() => {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
      server.close();
      server.closeAllConnections();
    });
    const target = { url: new URL(`https://hook.example:${(server.address() as AddressInfo).port}/`), addresses: loopback };
    assert.deepEqual(await post(target, letter, time()), { kind: "unreachable", why: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    assert.equal(requests, 0);
  });
});

/** A key and a certificate for one name that only it itself vouches for (X.509 in DER, RFC 5280). */
function selfSigned(host: string): { key: string; cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const der = (tag: number, ...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
    return Buffer.concat([Buffer.from([tag, ...length]), body]);
  };
  const sequence = (...parts: Buffer[]): Buffer => der(0x30, ...parts);
  const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
  const algorithm = sequence(oid("2a8648ce3d040302")); // ecdsa-with-SHA256
  const name = sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(host))))); // commonName
  const validity = sequence(der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231235959Z")));
  const altName = sequence(oid("551d11"), der(0x04, sequence(der(0x82, Buffer.from(host)))));
  const version = der(0xa0, der(0x02, Buffer.from([2])));
  const serial = der(0x02, Buffer.from([1]));
  const key = publicKey.export({ type: "spki", format: "der" });
  const body = sequence(version, serial, algorithm, name, validity, name, key, der(0xa3, sequence(altName)));
  const signature = der(0x03, Buffer.from([0]), sign("sha256", body, privateKey));
  const cert = sequence(body, algorithm, signature).toString("base64");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${cert.replaceAll(/(.{64})/g, "$1\n")}\n-----END CERTIFICATE-----\n`,
  };
}
