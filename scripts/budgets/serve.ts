import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Order, Ready } from "../../bench/big-server.ts";
import { entries } from "../../src/commands.ts";
import { makeClient, type Client } from "../../src/entry/client.ts";

type Wish = Order extends infer One ? (One extends Order ? Omit<One, "number"> : never) : never;

/** A filled server in a process of its own, and what can be wanted of it. */
export interface BigServer extends Ready {
  client: Client<typeof entries>;
  order(wish: Wish): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts one with this build of the dashboard. Throws when it ends before it is ready. */
export async function startBigServer(dashboard: string): Promise<BigServer> {
  const file = fileURLToPath(new URL("../../bench/big-server.ts", import.meta.url));
  const child = fork(file, [dashboard], { execArgv: ["--disable-warning=ExperimentalWarning"] });
  const waiting = new Map<number, (answer: unknown) => void>();
  const ended = new Promise<never>((_resolve, reject) =>
    child.once("exit", (code) => reject(new Error(`the filled server ended with ${code}`))),
  );
  ended.catch(() => undefined); // Whoever waits for an answer hears of it.
  let last = 0;
  child.on("message", ({ number, answer }: { number: number; answer: unknown }) => waiting.get(number)?.(answer));
  const answerTo = (number: number): Promise<unknown> =>
    Promise.race([new Promise((resolve) => waiting.set(number, resolve)), ended]).finally(() => waiting.delete(number));
  const ready = (await answerTo(0)) as Ready;
  const order: BigServer["order"] = (wish) => {
    last += 1;
    child.send({ ...wish, number: last });
    return answerTo(last);
  };
  return {
    ...ready,
    client: makeClient({ url: ready.url, token: ready.token, entries }),
    order,
    async stop() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.send({ kind: "stop", number: 0 });
      await gone;
    },
  };
}
