import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Detection } from "../agents/agent.ts";
import type { Finding } from "./finding.ts";
import {
  judgeAgents,
  judgeClones,
  judgeDatabase,
  judgeDisk,
  judgeKeys,
  judgeNetwork,
  judgeNotifications,
  judgePorts,
  judgeProcesses,
  judgeRuntime,
  judgeServer,
  missingFolders,
} from "./judge.ts";

const detection = (state: Detection["state"]): Detection => ({ state, version: null, path: null, message: null, fix: "install it" });
const own = { home: "/h", version: "1.0.0", missing: [] };
const answers = { kind: "answers", url: "http://127.0.0.1:1", version: "1.0.0", log: { file: "/h/log", problem: null } } as const;
const database = { kind: "sqlite", version: "3", schema: 2, newestSchema: 2, integrity: "ok", skewMs: 0 } as const;
const disk = { home: "/h", exists: true, freeMb: 9_000, open: [] };
const proxies = { names: ["HTTPS_PROXY"], used: true, sparesLoopback: true };

/** What is seen, and the states of what is found; each fault in words that name it. */
const cases: [string, Finding[], Finding["state"][], RegExp][] = [
  ["Node 24", judgeRuntime({ node: "v24.1.0", sqlite: "3" }), ["ok"], /v24/],
  ["an old Node", judgeRuntime({ node: "v22.9.0", sqlite: "3" }), ["problem"], /needs Node 24/],
  ["no server", judgeServer({ kind: "none" }, own), ["problem"], /no server runs/],
  ["a damaged file", judgeServer({ kind: "damaged" }, own), ["problem", "warning"], /damaged/],
  ["a file of a dead server", judgeServer({ kind: "stale", pid: 7 }, own), ["problem", "warning"], /process 7/],
  ["a server that hangs", judgeServer({ kind: "silent", pid: 7, url: "u", why: "w" }, own), ["problem"], /nothing answers/],
  ["a token that is not good", judgeServer({ kind: "refused", url: "u", why: "revoked", fix: null }, own), ["problem"], /revoked/],
  ["a server that is well", judgeServer(answers, own), ["ok"], /1\.0\.0/],
  ["another version", judgeServer({ ...answers, version: "2.0.0" }, own), ["ok", "warning"], /version 2\.0\.0.*1\.0\.0/],
  ["a log", judgeServer({ ...answers, log: { file: "/h/log", problem: "is gone" } }, own), ["ok", "problem"], /\/h\/log is gone/],
  ["folders", judgeServer(answers, { ...own, missing: ["/a", "/b", "/c", "/d"] }), ["ok", "warning"], /\/a, \/b, \/c and 1 more/],
  ["a store that is well", judgeDatabase(database), ["ok"], /sound/],
  ["a store nobody read", judgeDatabase({ ...database, integrity: null }), ["ok"], /schema 2$/],
  ["a damaged store", judgeDatabase({ ...database, integrity: "page 3" }), ["ok", "problem"], /page 3/],
  ["an old schema", judgeDatabase({ ...database, schema: 1 }), ["ok", "warning"], /schema is 1.*2/],
  ["a clock ahead", judgeDatabase({ ...database, skewMs: 2_500 }), ["ok", "problem"], /2\.5 s apart/],
  ["a clock behind", judgeDatabase({ ...database, skewMs: -2_500 }), ["ok", "problem"], /s apart/],
  ["a little skew", judgeDatabase({ ...database, skewMs: 1_999 }), ["ok"], /sound/],
  ["space", judgeDisk(disk), ["ok"], /9000 MB/],
  ["little space", judgeDisk({ ...disk, freeMb: 1_999 }), ["warning"], /1999 MB/],
  ["no space", judgeDisk({ ...disk, freeMb: 499 }), ["problem"], /499 MB/],
  ["no home yet", judgeDisk({ ...disk, exists: false, freeMb: 0 }), ["ok"], /first start/],
  ["an open file", judgeDisk({ ...disk, open: [{ path: "/h/k", mode: 0o644 }] }), ["ok", "problem"], /\/h\/k \(mode 0644\)/],
  ["no program for clones", judgeClones(null), ["problem"], /not found/],
  ["no sandbox", judgeProcesses({ kind: "group", sandbox: false, why: "w" }), ["problem"], /no sandbox \(group\): w/],
  ["an agent", judgeAgents([{ name: "a", stored: detection("ready"), now: detection("ready") }]), ["ok"], /a: ready/],
  [
    "an agent that came",
    judgeAgents([{ name: "a", stored: detection("not found"), now: detection("ready") }]),
    ["ok", "warning"],
    /a was "not found"/,
  ],
  [
    "no agent that can work",
    judgeAgents([{ name: "a", stored: detection("signed out"), now: detection("signed out") }]),
    ["warning", "problem"],
    /no agent can work/,
  ],
  ["a provider", judgeKeys([{ name: "p", keyMissing: false, unreachable: null }]), ["ok"], /p can be reached/],
  ["a provider's key", judgeKeys([{ name: "p", keyMissing: true, unreachable: null }]), ["problem"], /key is gone/],
  ["a provider that is off", judgeKeys([{ name: "p", keyMissing: false, unreachable: "ECONNREFUSED" }]), ["warning"], /ECONNREFUSED/],
  ["the loopback", judgeNetwork({ loopback: "EADDRNOTAVAIL", proxies: { ...proxies, names: [] } }), ["problem"], /EADDRNOTAVAIL/],
  ["a proxy that is well", judgeNetwork({ loopback: null, proxies }), ["ok", "ok"], /obeyed/],
  ["a proxy for all", judgeNetwork({ loopback: null, proxies: { ...proxies, sparesLoopback: false } }), ["ok", "problem"], /away too/],
  ["a proxy for nobody", judgeNetwork({ loopback: null, proxies: { ...proxies, used: false } }), ["ok", "warning"], /not obey/],
  ["the server's port", judgePorts({ wanted: null, own: 7421, taken: false }), ["ok"], /7421/],
  ["another port than asked", judgePorts({ wanted: 8000, own: 7420, taken: false }), ["warning"], /8000.*7420/],
  ["a taken port", judgePorts({ wanted: 8000, own: null, taken: true }), ["problem"], /another program/],
  ["the usual port taken", judgePorts({ wanted: null, own: null, taken: true }), ["ok"], /next free/],
  ["no channels", judgeNotifications([]), ["ok"], /no channels/],
  ["a channel", judgeNotifications([{ name: "n", enabled: true, message: null }]), ["ok"], /n is told/],
  ["a channel that failed", judgeNotifications([{ name: "n", enabled: false, message: "410" }]), ["warning"], /switched off: 410/],
];

suite("what is seen becomes findings", () => {
  for (const [what, findings, states, message] of cases) {
    test(what, () => {
      assert.deepEqual(
        findings.map(({ state }) => state),
        states,
      );
      assert.match(findings.map((finding) => finding.message).join("\n"), message);
      for (const { state, fix } of findings) if (state !== "ok") assert.ok(fix || what === "a token that is not good", what);
    });
  }
});

test("a folder that the server lacks counts when it is there", () => {
  assert.deepEqual(
    missingFolders("/a:/b::/c:/b", "/a", (folder) => folder !== "/c"),
    ["/b"],
  );
});

test("only what harms nothing is mended by itself", () => {
  const mends = cases.flatMap(([, findings]) => findings.flatMap(({ mend }) => mend?.kind ?? []));
  assert.deepEqual([...new Set(mends)].toSorted(), ["close", "refresh agents", "remove server file"]);
});
