import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { listSettings, readConfig, readTerminal } from "./config.ts";
import { AppError } from "./errors.ts";

const problem = (env: NodeJS.ProcessEnv): AppError => {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  return assert.fail("it was taken");
};

describe("the configuration", () => {
  test("has a default for everything", () => {
    const config = readConfig({});
    assert.equal(config.userHome, homedir());
    assert.equal(config.home, join(homedir(), ".local/share/tutti"));
    assert.equal(config.path, "/usr/local/bin:/usr/bin:/bin");
    const { port, hosts, databaseUrl, logLevel, processes, crashAt, openai, token, url } = config;
    assert.deepEqual(
      { port, hosts, databaseUrl, logLevel, processes, crashAt, openai, token, url },
      {
        port: null,
        hosts: [],
        databaseUrl: undefined,
        logLevel: "warn",
        processes: null,
        crashAt: null,
        openai: null,
        token: null,
        url: null,
      },
    );
  });

  test("puts the data where TUTTI_HOME says, else where the desktop's convention does; always an absolute path", () => {
    assert.equal(readConfig({ HOME: "/h", XDG_DATA_HOME: "/data" }).home, "/data/tutti");
    assert.equal(readConfig({ HOME: "/h" }).home, "/h/.local/share/tutti");
    assert.equal(readConfig({ HOME: "/h", XDG_DATA_HOME: "/data", TUTTI_HOME: "there" }).home, join(process.cwd(), "there"));
  });

  test("takes an empty variable for one that is not set", () => {
    const names = ["HOME", "TUTTI_HOME", "XDG_DATA_HOME", "TUTTI_PORT", "TUTTI_HOSTS", "TUTTI_LOG", "TUTTI_PROCESSES", "TUTTI_CRASH_AT"];
    const more = ["DATABASE_URL", "OPENAI_BASE_URL", "TUTTI_TOKEN", "TUTTI_URL"];
    assert.deepEqual(readConfig(Object.fromEntries([...names, ...more].map((name) => [name, ""]))), readConfig({}));
  });

  test("passes on to sandboxed processes what stands in a list, and never what does not", () => {
    const env = {
      PATH: "/bin",
      LANG: "it_IT.UTF-8",
      TZ: "Europe/Rome",
      OPENAI_API_KEY: "k",
      AWS_SECRET_ACCESS_KEY: "k",
      DATABASE_URL: "postgres://u:k@h/d",
      SSH_AUTH_SOCK: "/run/k",
      TUTTI_TOKEN: "k",
      NODE_OPTIONS: "--k",
      LD_PRELOAD: "/k.so",
    };
    assert.deepEqual(readConfig(env).environment, { PATH: "/bin", LANG: "it_IT.UTF-8", TZ: "Europe/Rome" });
  });

  test("takes the door's limits one by one, a burst being two seconds' worth", () => {
    assert.deepEqual(readConfig({ TUTTI_LIMITS: "agent=5, streams=3" }).limits, {
      ...readConfig({}).limits,
      agent: { perSecond: 5, burst: 10 },
      streams: 3,
    });
    for (const wrong of ["agent", "agent=0", "agent=1.5", "agents=5", "requests=-1", "requests=12345678"])
      assert.match(problem({ TUTTI_LIMITS: wrong }).message, /TUTTI_LIMITS/);
  });

  test("looks for programs where the person does: npm's own folders are left out", () => {
    const path = "/a/node_modules/.bin:/usr/bin::/x/node_modules/npm/bin/node-gyp-bin:/people/ada/node_modules/.binaries:/bin";
    assert.equal(readConfig({ PATH: path }).path, "/usr/bin:/people/ada/node_modules/.binaries:/bin");
  });

  test("knows a provider when its address is named; key and model may be missing", () => {
    const baseUrl = "http://127.0.0.1:1/v1";
    assert.deepEqual(readConfig({ OPENAI_BASE_URL: baseUrl }).openai, { baseUrl, key: null, model: "default" });
    const full = readConfig({ OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: "k", OPENAI_MODEL: "m" }).openai;
    assert.deepEqual(full, { baseUrl, key: "k", model: "m" });
  });

  test("knows a vendor's provider by its key alone; where the vendor is stands elsewhere", () => {
    assert.deepEqual(readConfig({ OPENAI_API_KEY: "k" }).openai, { baseUrl: null, key: "k", model: "gpt-5.5" });
    const anthropic = readConfig({ ANTHROPIC_API_KEY: "k", ANTHROPIC_BASE_URL: "http://127.0.0.1:1", ANTHROPIC_MODEL: "m" }).anthropic;
    assert.deepEqual(anthropic, { baseUrl: "http://127.0.0.1:1", key: "k", model: "m" });
    for (const name of ["GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"]) {
      assert.deepEqual(readConfig({ [name]: "k" }).google, { baseUrl: null, key: "k", model: "gemini-2.5-pro" });
    }
    assert.equal(readConfig({ GOOGLE_GEMINI_BASE_URL: "http://127.0.0.1:2" }).google?.baseUrl, "http://127.0.0.1:2");
  });

  test("reads the port, the names, the log level and the way of processes", () => {
    assert.equal(readConfig({ TUTTI_PORT: "0" }).port, 0);
    assert.equal(readConfig({ TUTTI_PORT: "65535" }).port, 65_535);
    assert.deepEqual(readConfig({ TUTTI_HOSTS: "a.example,,b.example" }).hosts, ["a.example", "b.example"]);
    assert.equal(readConfig({ TUTTI_LOG: "debug" }).logLevel, "debug");
    assert.equal(readConfig({ TUTTI_PROCESSES: "unshare" }).processes, "unshare");
    assert.notEqual(readConfig({ TUTTI_CRASH_AT: "commit:3" }).crashAt, null);
    const client = readConfig({ TUTTI_TOKEN: "t", TUTTI_URL: "http://127.0.0.1:1", DATABASE_URL: "postgres://h/d" });
    assert.deepEqual([client.token, client.url, client.databaseUrl], ["t", "http://127.0.0.1:1", "postgres://h/d"]);
  });

  test("who drives the sessions is the server itself unless it is told not to, as many at once as there is work for", () => {
    assert.deepEqual([readConfig({}).runner, readConfig({}).capacity], ["own", null]);
    const config = readConfig({ TUTTI_RUNNER: "none", TUTTI_CAPACITY: "8" });
    assert.deepEqual([config.runner, config.capacity], ["none", 8]);
    for (const capacity of ["0", "-1", "1.5", "many"]) assert.match(problem({ TUTTI_CAPACITY: capacity }).message, /TUTTI_CAPACITY/);
    assert.match(problem({ TUTTI_RUNNER: "elsewhere" }).message, /TUTTI_RUNNER/);
  });

  test("refuses what cannot be used by the variable's name, with what it can be", () => {
    for (const port of ["http", "-1", "65536", "1.5"]) {
      const { code, message, why } = problem({ TUTTI_PORT: port });
      assert.equal(code, "invalid_input");
      assert.match(`${message} ${why}`, new RegExp(`TUTTI_PORT.*${port}.*0 to 65535`));
    }
    assert.match(`${problem({ TUTTI_LOG: "loud" }).message} ${problem({ TUTTI_LOG: "loud" }).why}`, /TUTTI_LOG is "loud".*silent/);
    assert.match(problem({ TUTTI_PROCESSES: "docker" }).why ?? "", /bubblewrap, unshare, group/);
    assert.match(problem({ TUTTI_CRASH_AT: "soon" }).message, /TUTTI_CRASH_AT/);
  });
});

describe("the terminal and the desktop", () => {
  test("colours: NO_COLOR, then FORCE_COLOR, then TERM=dumb; an empty variable counts as not set", () => {
    const cases: [NodeJS.ProcessEnv, boolean | null, string][] = [
      [{}, null, "default"],
      [{ TERM: "xterm" }, null, "default"],
      [{ TERM: "dumb" }, false, "TERM"],
      [{ TERM: "dumb", FORCE_COLOR: "1" }, true, "FORCE_COLOR"],
      [{ FORCE_COLOR: "0" }, false, "FORCE_COLOR"],
      [{ FORCE_COLOR: "false" }, false, "FORCE_COLOR"],
      [{ FORCE_COLOR: "1", NO_COLOR: "1" }, false, "NO_COLOR"],
      [{ FORCE_COLOR: "", NO_COLOR: "" }, null, "default"],
    ];
    for (const [env, colour, colourFrom] of cases) {
      const terminal = readTerminal(env);
      assert.deepEqual([terminal.colour, terminal.colourFrom], [colour, colourFrom], JSON.stringify(env));
    }
    assert.equal(readTerminal({ TERM: "dumb" }).obeys, false);
    assert.equal(readTerminal({ TERM: "xterm" }).obeys, true);
  });

  test("a browser appears before the person on a desktop alone: not over ssh, not in CI", () => {
    assert.equal(readTerminal({ DISPLAY: ":0" }, "linux").desktop, true);
    assert.equal(readTerminal({ WAYLAND_DISPLAY: "wayland-0" }, "linux").desktop, true);
    assert.equal(readTerminal({}, "darwin").desktop, true);
    assert.equal(readTerminal({}, "linux").desktop, false);
    for (const name of ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "CI"])
      assert.equal(readTerminal({ DISPLAY: ":0", [name]: "1" }, "darwin").desktop, false, name);
  });

  test("the folders of the desktop's convention, the shell by its name", () => {
    const { shell, configHome, cacheHome, zshHome } = readTerminal({ HOME: "/h", SHELL: "/usr/bin/zsh" });
    assert.deepEqual([shell, configHome, cacheHome, zshHome], ["zsh", "/h/.config", "/h/.cache", "/h"]);
    const other = readTerminal({ HOME: "/h", XDG_CONFIG_HOME: "/c", XDG_CACHE_HOME: "/k", ZDOTDIR: "/z" });
    assert.deepEqual([other.shell, other.configHome, other.cacheHome, other.zshHome], [null, "/c", "/k", "/z"]);
  });

  test("proxies by their names alone", () => {
    const proxy = "http://user:secret@proxy.example:3128";
    assert.deepEqual(readTerminal({ HTTPS_PROXY: proxy, http_proxy: proxy }).proxies, {
      names: ["HTTPS_PROXY", "http_proxy"],
      used: false,
      sparesLoopback: false,
    });
    const { used, sparesLoopback } = readTerminal({ NODE_USE_ENV_PROXY: "1", NO_PROXY: "example.org, 127.0.0.1" }).proxies;
    assert.deepEqual([used, sparesLoopback], [true, true]);
  });
});

describe("the list of settings", () => {
  test("has every value of the configuration, and names the variable that decided it", () => {
    const env = { TUTTI_HOME: "/t", XDG_DATA_HOME: "/d", TUTTI_LOG: "debug", TUTTI_PORT: "" };
    const settings = listSettings(env);
    assert.deepEqual(settings.map(({ name }) => name).toSorted(), Object.keys(readConfig(env)).toSorted());
    const origin = (name: string): string | undefined => settings.find((setting) => setting.name === name)?.origin;
    assert.deepEqual([origin("home"), origin("logLevel"), origin("port")], ["TUTTI_HOME", "TUTTI_LOG", "default"]);
    assert.equal(listSettings({ XDG_DATA_HOME: "/d" })[0]?.origin, "XDG_DATA_HOME");
  });

  test("never shows a secret, whatever variable it came in", () => {
    const secret = "planted-0815";
    const names = ["DATABASE_URL", "TUTTI_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"];
    const env = {
      ...Object.fromEntries(names.map((name) => [name, secret])),
      OPENAI_BASE_URL: `http://u:${secret}@127.0.0.1:9/v1`,
      TUTTI_URL: `http://u:${secret}@127.0.0.1:9`,
    };
    const text = JSON.stringify(listSettings(env));
    assert.doesNotMatch(text, /planted/);
    assert.match(text, /"databaseUrl","value":"set"/);
  });
});
