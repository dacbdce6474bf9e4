import assert from "node:assert/strict";
import { test } from "node:test";
import { homesOf } from "./hide.ts";

test("homes are those of all who can log in, and never a part of the system", () => {
  const passwd = [
    "root:x:0:0:root:/root:/bin/bash",
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
    "sync:x:4:65534:sync:/bin:/bin/sync",
    "odd:x:5:5::/:/bin/sh",
    "tool:x:6:6::/usr/lib/tool:/bin/sh",
    "ann:x:1000:1000::/srv/homes/ann:/usr/bin/zsh",
    "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash",
    "shell-less:x:102:102::/data/service:",
    "off:x:103:103::/data/off:/bin/false",
    "broken line",
    "",
  ].join("\n");
  assert.deepEqual(homesOf(passwd), ["/root", "/srv/homes/ann", "/var/lib/postgresql", "/data/service"]);
});
