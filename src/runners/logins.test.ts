import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { AgentSettings } from "../agents/agent.ts";
import { presets } from "../agents/backends/presets/table.ts";
import { linkLogins, loginMounts } from "./logins.ts";

describe("the logins that an agent sees", () => {
  let folder: string;
  let person: string;
  let home: string;
  const agentWith = (settings: Partial<AgentSettings>) => ({ settings: AgentSettings.parse(settings) });
  const vendor = agentWith({ preset: "goose", credentials: "vendor" });
  const link = async (agent: ReturnType<typeof agentWith>) => await linkLogins(agent, home, loginMounts(agent, person));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tutti-logins-"));
    [person, home] = [join(folder, "person"), join(folder, "home")];
    mkdirSync(join(person, ".config/goose"), { recursive: true });
    writeFileSync(join(person, ".config/goose/config.yaml"), "GOOSE_PROVIDER: x\n");
    mkdirSync(home);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("are those of its own program, at the person's own path, and only with the vendor's credentials", () => {
    const to = join(person, ".config/goose");
    assert.deepEqual(loginMounts(vendor, person), { writable: [to], links: [{ from: ".config/goose", to }] });
    const nothing = { writable: [], links: [] };
    for (const credentials of ["none", "key"] as const)
      assert.deepEqual(loginMounts(agentWith({ preset: "goose", credentials }), person), nothing);
    assert.deepEqual(loginMounts(agentWith({ command: ["goose"], credentials: "vendor" }), person), nothing);
    assert.deepEqual(loginMounts(agentWith({ preset: "unheard-of", credentials: "vendor" }), person), nothing);
    assert.deepEqual(loginMounts(agentWith({ preset: "opencode", credentials: "vendor" }), person), nothing, "she has none");
  });

  test("are of every program one's own folders, and never a whole home or all settings", () => {
    for (const [name, { login }] of Object.entries(presets)) {
      for (const path of login) {
        mkdirSync(join(person, path), { recursive: true });
        assert.doesNotMatch(path, /^\.(?:config|local|cache)?$|^\.local\/share$|\.\.|^\//, path);
      }
      const { writable, links } = loginMounts(agentWith({ preset: name, credentials: "vendor" }), person);
      assert.deepEqual(
        writable,
        login.map((path) => join(person, path)),
        name,
      );
      assert.deepEqual(
        links.map(({ from }) => from),
        login,
        name,
      );
    }
  });

  test("stand in the session's home as links, again and again, in the place of what lay there", async () => {
    mkdirSync(join(home, ".config/goose"), { recursive: true });
    writeFileSync(join(home, ".config/goose/config.yaml"), "its own");
    await link(vendor);
    await link(vendor);
    assert.equal(readlinkSync(join(home, ".config/goose")), join(person, ".config/goose"));
    assert.equal(readFileSync(join(home, ".config/goose/config.yaml"), "utf8"), "GOOSE_PROVIDER: x\n");
  });

  test("go away when the agent's settings no longer give them; the person's folder stays, and so does a folder of the agent's own", async () => {
    await link(vendor);
    await link(agentWith({ preset: "goose", credentials: "none" }));
    assert.equal(lstatSync(join(home, ".config/goose"), { throwIfNoEntry: false }), undefined);
    mkdirSync(join(home, ".config/goose"));
    await link(agentWith({ preset: "goose", credentials: "none" }));
    assert.ok(existsSync(join(home, ".config/goose")));
    assert.ok(existsSync(join(person, ".config/goose/config.yaml")));
  });

  test("are neither made nor removed through a link that the agent has left in its home", async () => {
    mkdirSync(join(folder, "elsewhere/goose"), { recursive: true });
    writeFileSync(join(folder, "elsewhere/goose/precious"), "");
    symlinkSync(join(folder, "elsewhere"), join(home, ".config"));
    await link(vendor);
    assert.ok(existsSync(join(folder, "elsewhere/goose/precious")));
    assert.ok(lstatSync(join(home, ".config")).isDirectory());
    rmSync(join(home, ".config"), { recursive: true });
    // The person's own folder may itself be a link; it is not the agent's to remove.
    symlinkSync(join(folder, "elsewhere/goose"), join(person, ".config/opencode"));
    symlinkSync(join(person, ".config"), join(home, ".config"));
    await link(agentWith({ preset: "opencode", credentials: "none" }));
    assert.ok(lstatSync(join(person, ".config/opencode")).isSymbolicLink());
  });

  test("have no links for a program without a preset", async () => {
    await link(agentWith({ command: ["x"], credentials: "vendor" }));
    assert.equal(existsSync(join(home, ".config")), false);
  });
});
