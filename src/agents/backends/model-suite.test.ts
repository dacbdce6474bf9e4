import { environmentOf, processesWith } from "../../../test/support/processes.ts";
import { startModelServer } from "../../../test/support/model-server/server.ts";
import { startBroker } from "../../models/broker.ts";
import { backendSuite, type Subject } from "../backend.suite.ts";
import { brokerAccess, makeBench, targetAt } from "../../../test/support/model-bench.ts";
import { makeModelBackend } from "./model.ts";

const key = "sk-suite-0123456789";
const token = "suite-session-token";

/** The model backend as it runs: sandboxed tools, the broker, and behind it a scripted provider that wants the key. */
async function make(): Promise<Subject> {
  const bench = await makeBench();
  const provider = await startModelServer(
    [
      { match: "FAIL (\\S+)", when: "prompt", error: { status: 400, message: "set below" } },
      { match: "LIMIT", error: { status: 429, message: "too many", retryAfterSeconds: 3600 } },
      { match: "HANG", reply: "hm", stream: "silent" },
    ],
    { key },
  );
  const broker = await startBroker({
    resolve: async (given) => (given === token ? [targetAt({ baseUrl: `${provider.url}/v1`, key })] : []),
    log: { warn: () => undefined },
  });
  const pids = (): number[] => processesWith(`TUTTI_SESSION=${bench.session}`);
  return {
    backend: makeModelBackend({ pauseMs: 1 }),
    cwd: bench.cwd,
    spec: (changed) => bench.spec({ settings: { provider: "scripted" }, broker: brokerAccess({ url: broker.url, token }), ...changed }),
    prompts: {
      say: (text) => `SAY: ${text}`,
      write: (file, content) => `WRITE ${file}: ${content}`,
      ask: (file, content) => `WRITE ${file}: ${content}`,
      fail(text) {
        provider.setRules(
          provider.rules.map((rule) => (rule.error?.status === 400 ? { ...rule, error: { status: 400, message: text } } : rule)),
        );
        return `FAIL ${text}`;
      },
      limit: "LIMIT",
      hang: (word) => `HANG ${word}`,
      recall: "RECALL",
    },
    hanging: async (word) => void (await provider.waitFor(({ newest }) => newest.includes(word))),
    // The tools' process may die and is started anew; the agent itself is a part of the server.
    kill: null,
    pids,
    environments: () => pids().map(environmentOf),
    secrets: [key, token],
    cancelWithinMs: 1_000,
    async close() {
      await broker.close();
      await provider.close();
      await bench.close();
    },
  };
}

backendSuite("model", make);
