import { once } from "node:events";
import { createServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { countEffects, createAll, measureLatency, measureMemory, measureQueue, until, type Peer, type Place } from "../peer.ts";
import { measureRuns, result, stepsOfRun } from "../run-shape.ts";

interface Context {
  run<Result>(name: string, work: () => Result): Promise<Result>;
}

interface Restate {
  service<Handlers>(options: { name: string; handlers: Handlers }): { name: string };
  createEndpointHandler(options: {
    services: object[];
    logger?: () => void;
  }): (request: Http2ServerRequest, response: Http2ServerResponse) => void;
  RestatePromise: { all(promises: Promise<unknown>[]): Promise<unknown> };
}

interface Clients {
  connect(options: { url: string }): {
    serviceClient(service: object): { go(number: number): Promise<unknown> };
    serviceSendClient(service: object): { go(number: number): Promise<unknown> };
  };
}

/** The number of a call that does nothing. */
const warmUp = -1;

/** The service in this process, registered with the server, and clients of its ingress. */
async function open(place: Place, work: (context: Context, number: number) => Promise<unknown>) {
  const go = async (context: Context, number: number): Promise<unknown> => (number === warmUp ? null : work(context, number));
  const restate = await place.load<Restate>("@restatedev/restate-sdk");
  const clients = await place.load<Clients>("@restatedev/restate-sdk-clients");
  const service = restate.service({ name: "bench", handlers: { go } });
  const endpoint = createServer(restate.createEndpointHandler({ services: [service], logger: () => {} }));
  endpoint.listen(0, "127.0.0.1");
  await once(endpoint, "listening");
  const address = endpoint.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const { origin, hash } = new URL(place.url);
  const admin = `http://127.0.0.1:${hash.slice(1)}`;
  const registered = await post(`${admin}/deployments`, { uri: `http://127.0.0.1:${port}` });
  if (!registered.ok) throw new Error(`Restate refused the service: ${await registered.text()}`);
  const ingress = clients.connect({ url: origin });
  // A server that has just started takes seconds until all of its partitions answer; that is none of its throughput.
  await createAll({ tasks: 1_000, inFlight: 50 }, () => ingress.serviceClient(service).go(warmUp));
  return {
    call: ingress.serviceClient(service),
    send: ingress.serviceSendClient(service),
    async isIdle(): Promise<boolean> {
      const answer = await post(`${admin}/query`, { query: "select count(*) as left from sys_invocation where status <> 'completed'" });
      const { rows } = (await answer.json()) as { rows: { left: number }[] };
      return rows[0]?.left === 0;
    },
  };
}

const post = (url: string, body: object): Promise<Response> =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json", accept: "application/json" }, body: JSON.stringify(body) });

export const peer: Peer = {
  name: "restate",
  packages: { "@restatedev/restate-server": "1.7.12", "@restatedev/restate-sdk": "1.17.2", "@restatedev/restate-sdk-clients": "1.17.2" },
  servers: [{ kind: "restate" }],
  settings: "one server, its defaults; the service in the client's process over HTTP/2",
  durability: "its replicated log on one node, synced by its defaults",
  rows: {
    async queue(place, work) {
      const effects = countEffects(work.tasks);
      const { send, isIdle } = await open(place, async (_, number) => effects.effect(number));
      return measureQueue(work, { effects, create: (number) => send.go(number), settled: () => until(isIdle) });
    },
    async memory(place) {
      await open(place, async () => null);
      return measureMemory(place);
    },
    async latency(place, work) {
      let started: (number: number) => void = () => {};
      const { send } = await open(place, async (_, number) => started(number));
      return measureLatency(work, { create: (number) => send.go(number), onStart: (listener) => void (started = listener) });
    },
    async runs(place, work) {
      const { RestatePromise } = await place.load<Restate>("@restatedev/restate-sdk");
      const effects = countEffects(work.tasks * stepsOfRun);
      const { call } = await open(place, async (context, number) => {
        const step = (at: number): Promise<string> =>
          context.run(`s${at}`, () => {
            effects.effect(number * stepsOfRun + at);
            return result;
          });
        await step(0);
        await RestatePromise.all([step(1), step(2)]);
        for (let at = 3; at < stepsOfRun; at += 1) await step(at);
      });
      return measureRuns(work, effects, (number) => call.go(number));
    },
  },
};
