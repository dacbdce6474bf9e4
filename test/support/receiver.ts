import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./tutti.ts";

export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A real HTTP server on loopback that keeps what it gets, for tests of what is sent. */
export interface Receiver {
  port: number;
  /** host:port */
  host: string;
  received: Received[];
  /** What is answered from now on; at first 204. Left without an answer, a request stays open. */
  answer(how: (response: ServerResponse, received: Received) => void): void;
  /** Resolves when so many requests have come in all; throws after a minute. */
  got(count: number): Promise<Received[]>;
  close(): Promise<void>;
}

/** `port`: to come back where one was. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = [];
  let answer = (response: ServerResponse, _received: Received): void => void response.writeHead(204).end();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (part: string) => (body += part));
    request.on("end", () => {
      const one = { method: request.method ?? "", path: request.url ?? "", headers: request.headers, body };
      received.push(one);
      answer(response, one);
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    host: `127.0.0.1:${address.port}`,
    received,
    answer: (how) => void (answer = how),
    got: (count) => until(`request ${count}`, () => received.length >= count && received),
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
