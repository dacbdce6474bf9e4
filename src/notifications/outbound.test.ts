import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { suite, test } from "node:test";
import type { AppError } from "../errors.ts";
import { reachOf } from "./address.ts";
import { makeOutbound, type Address, type Outbound } from "./outbound.ts";

/** Names of a made-up network. */
const names: Record<string, string[]> = {
  "public.example": ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"],
  "home.example": ["192.168.1.5"],
  "mixed.example": ["93.184.216.34", "10.0.0.7"],
  "mixed6.example": ["2606:2800:220:1:248:1893:25c8:1946", "fd12:3456:789a::1"],
  "loopback.example": ["127.0.0.1"],
  "loopback6.example": ["::1"],
  "mapped.example": ["::ffff:127.0.0.1"],
  "nat64.example": ["64:ff9b::a9fe:a9fe"],
  "metadata.example": ["169.254.169.254"],
  "linklocal6.example": ["fe80::1%eth0"],
  "tailnet.example": ["100.101.102.103"],
  "nowhere.example": [],
};

const resolve = async (hostname: string): Promise<Address[]> => {
  const found = names[hostname.replace(/\.$/, "")];
  if (!found) throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: "ENOTFOUND" });
  return found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
};

const outbound = (...allow: string[]): Outbound => makeOutbound({ allow, resolve });
const refusedBy = (out: Outbound, url: string): Promise<AppError> =>
  out.check(url).then(
    () => assert.fail(`${url} was taken`),
    (error: AppError) => {
      assert.equal(error.code, "invalid_input", url);
      return error;
    },
  );

/** Everything that a server-side request forgery was ever written as, for the system's own resolver too. */
const hostile = [
  // Other protocols, and what is no address at all.
  "file:///etc/passwd",
  "ftp://public.example/x",
  "gopher://127.0.0.1:6379/_INFO",
  "data:text/plain,x",
  "javascript:alert(1)",
  "ws://public.example/",
  "//public.example/x",
  "public.example",
  "http://",
  "https://:443/",
  // Loopback, in all the ways in which IPv4 can be written.
  "http://127.0.0.1/",
  "http://127.1/",
  "http://127.255.255.254/",
  "http://2130706433/",
  "http://0x7f000001/",
  "http://0x7f.1/",
  "http://017700000001/",
  "http://0177.0.0.1/",
  "http://127.0.0.1./",
  "http://①②⑦.⓪.⓪.①/",
  "http://１２７.０.０.１/",
  "http://%31%32%37.0.0.1/",
  "http://localhost/",
  "http://localhost./",
  "http://LOCALHOST/",
  // Unspecified.
  "http://0/",
  "http://0.0.0.0/",
  "http://[::]/",
  // IPv6, and IPv4 inside of it.
  "http://[::1]/",
  "http://[0:0:0:0:0:0:0:1]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[::ffff:169.254.169.254]/",
  "http://[::127.0.0.1]/",
  "http://[64:ff9b::127.0.0.1]/",
  "http://[64:ff9b::a9fe:a9fe]/",
  "http://[64:ff9b:1::1]/",
  "http://[2002:7f00:1::]/",
  "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
  "http://[fe80::1]/",
  "http://[fec0::1]/",
  "http://[fd00::1]/",
  "http://[fc00::1]/",
  "http://[fd00:ec2::254]/",
  "http://[ff02::1]/",
  "http://[2001:db8::1]/",
  "http://[100::1]/",
  // Private networks, carrier-grade NAT, link-local, metadata, multicast, reserved, documentation.
  "http://10.0.0.1/",
  "http://172.16.0.1/",
  "http://172.31.255.255/",
  "http://192.168.0.1/",
  "http://100.64.0.1/",
  "http://100.100.100.200/latest/meta-data/",
  "http://169.254.169.254/latest/meta-data/",
  "http://2852039166/",
  "http://192.0.0.192/",
  "http://198.18.0.1/",
  "http://192.0.2.1/",
  "http://224.0.0.1/",
  "http://240.0.0.1/",
  "http://255.255.255.255/",
  // Names that lead there, also when only one of their addresses does.
  "https://home.example/",
  "https://mixed.example/",
  "https://mixed6.example/",
  "https://loopback.example/",
  "https://loopback6.example/",
  "https://mapped.example/",
  "https://nat64.example/",
  "https://metadata.example/",
  "https://linklocal6.example/",
  "https://tailnet.example/",
  "https://nowhere.example/",
  "https://unknown.example/",
  // Credentials, fragments, other ports.
  "https://ann:planted-password@public.example/",
  "https://public.example@127.0.0.1/",
  "https://public.example/#x",
  "https://public.example:22/",
  "https://public.example:6379/",
  "http://public.example:8080/",
];

suite("what notifications may reach", () => {
  test(`${hostile.length} hostile addresses are refused, and each says why`, async () => {
    for (const url of hostile) {
      const { message, why } = await refusedBy(outbound(), url);
      assert.match(message, /^(url must |notifications may not go to |\S+ has no address)/, url);
      assert.ok(!message.includes("planted") && !why?.includes("planted"), url);
    }
  });

  test("the loopback names are refused by the system's own resolver too", async () => {
    for (const url of ["http://localhost/", "http://localhost./"]) await refusedBy(makeOutbound({ allow: [] }), url);
  });

  test("a public address is taken, with all that it resolves to", async () => {
    const { url, addresses } = await outbound().check("https://public.example/hook?x=1");
    assert.equal(url.href, "https://public.example/hook?x=1");
    // Some parsers read this as a name and a password for 127.0.0.1; what was checked is what is connected to.
    assert.equal((await outbound().check("https://public.example\\@127.0.0.1:8080/")).url.host, "public.example");
    assert.deepEqual(
      addresses.map(({ address }) => address),
      names["public.example"],
    );
    for (const other of [
      "http://93.184.216.34/",
      "https://[2606:2800:220:1:248:1893:25c8:1946]/",
      "http://public.example:80/",
      "http://public.example:443/",
    ])
      await outbound().check(other);
  });

  test("a host that the operator names may be private, at the usual ports or at the one that is named", async () => {
    await outbound("home.example").check("http://home.example/topic");
    await outbound("HOME.example").check("https://home.example/topic");
    await outbound("home.example").check("http://home.example./topic");
    await outbound("home.example:8080").check("http://home.example:8080/topic");
    await outbound("192.168.1.5:2586").check("http://192.168.1.5:2586/topic");
    await outbound("[fd12::5]:2586").check("http://[fd12:0::5]:2586/topic");
    await outbound("tailnet.example").check("https://tailnet.example/topic");
    await outbound("public.example:8443").check("https://public.example:8443/x");
    await refusedBy(outbound("home.example"), "http://home.example:8080/topic");
    await refusedBy(outbound("home.example:8080"), "http://home.example/topic");
    await refusedBy(outbound("home.example:8080"), "http://home.example:8081/topic");
    await refusedBy(outbound("home.example"), "http://other.home.example/topic");
    await refusedBy(outbound("home.example"), "http://loopback.example/topic");
  });

  test("what is nobody's receiver stays closed, also by a name that the operator allows", async () => {
    for (const [name, url] of [
      ["metadata.example", "http://metadata.example/"],
      ["nat64.example", "http://nat64.example/"],
      ["linklocal6.example", "http://linklocal6.example/"],
      ["169.254.169.254", "http://169.254.169.254/"],
      ["0.0.0.0", "http://0.0.0.0/"],
      ["[::]", "http://[::]/"],
      ["100.100.100.200", "http://100.100.100.200/"],
    ] as const)
      await refusedBy(outbound(name), url);
  });

  test("the server's own ports are never reached on this machine, whatever is allowed", async () => {
    const own = outbound(
      "127.0.0.1:7420",
      "loopback.example:7420",
      "[::1]:7420",
      "mapped.example:7420",
      "localhost:7421",
      "home.example:7420",
    );
    own.serve("http://127.0.0.1:7420");
    own.serve("http://127.0.0.1:7421");
    names["localhost"] = ["127.0.0.1"];
    for (const url of [
      "http://127.0.0.1:7420/",
      "http://loopback.example:7420/api",
      "http://[::1]:7420/",
      "http://mapped.example:7420/",
      "http://localhost:7421/",
    ]) {
      assert.equal((await refusedBy(own, url)).why, "it is Tutti's own address", url);
    }
    // The same port of another machine is another server.
    await own.check("http://home.example:7420/");
    assert.equal(own.url, "http://127.0.0.1:7420");
    const here = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ family, internal, address }) => family === "IPv4" && !internal && reachOf(address) === "private");
    if (here) {
      const named = outbound(`${here.address}:7420`);
      named.serve("http://127.0.0.1:7420");
      await refusedBy(named, `http://${here.address}:7420/`);
    }
  });

  test("an entry of TUTTI_NOTIFY_ALLOW that names no host is refused when the server starts", () => {
    for (const entry of ["http://x", "a/b", "a:b", "a:0", "a:70000", "a@b", "*", "*.example", ":80", "a:1:2", "[::1", "a b"])
      assert.throws(() => outbound(entry), { code: "invalid_input", message: `TUTTI_NOTIFY_ALLOW has "${entry}"` }, entry);
  });

  test("a name that takes too long to resolve is not waited for", async () => {
    const slow = makeOutbound({ allow: [], resolve: () => new Promise(() => undefined) });
    await assert.rejects(slow.check("https://public.example/", AbortSignal.timeout(20)), { code: "invalid_input" });
    await assert.rejects(slow.check("https://public.example/", AbortSignal.abort()), { code: "invalid_input" });
  });
});
