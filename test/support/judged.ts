import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { text as readText } from "node:stream/consumers";
import type { Place } from "../../scripts/api-docs/api-page.ts";
import { curlOf } from "../../scripts/api-docs/curl.ts";
import { readServerSentEvents } from "../../src/entry/http/sse-reader.ts";
import type { OpenApi } from "../../src/entry/openapi.ts";
import type { Documented } from "./documented.ts";

/** Requests to a real server whose every answer is held against the API's description. */
export interface Judged {
  url: string;
  token: string;
  document: OpenApi;
  documented: Documented;
}

export interface Sending {
  token?: string | null;
  headers?: Record<string, string>;
  body?: string;
}

export interface Answered {
  status: number;
  headers: Headers;
  text: string;
  body: unknown;
}

/** Sends a request to an operation, and holds its answer against the description, whatever the answer is. */
export async function call(
  server: Judged,
  method: "get" | "post",
  path: string,
  address: string,
  { token = server.token, headers = {}, body }: Sending = {},
): Promise<Answered> {
  const authorization: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(new URL(address, server.url), {
    method: method.toUpperCase(),
    headers: { ...authorization, ...headers },
    body,
  });
  const text = await response.text();
  const type = response.headers.get("content-type")?.split(";")[0] ?? null;
  const parsed: unknown = type?.endsWith("json") ? JSON.parse(text) : null;
  assert.deepEqual(
    server.documented.misfits(method, path, { status: response.status, type, body: parsed }),
    [],
    `${address}: ${text.slice(0, 500)}`,
  );
  return { status: response.status, headers: response.headers, text, body: parsed };
}

/** A command whose body is announced with this size and never sent: the answer comes before it. */
export async function announced(server: Judged, path: string, size: number): Promise<Answered> {
  const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json", "content-length": size };
  const sent = request(new URL(path, server.url), { method: "POST", headers, agent: false });
  sent.on("error", () => undefined); // The server may cut the connection after its answer.
  sent.flushHeaders();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const text = await readText(response);
  sent.destroy();
  const [status, type] = [response.statusCode ?? 0, response.headers["content-type"]?.split(";")[0] ?? null];
  const body: unknown = JSON.parse(text);
  assert.deepEqual(server.documented.misfits("post", path, { status, type, body }), []);
  return { status, headers: new Headers(), text, body };
}

/** Calls a command by its name; its answer fits the description. */
export async function send(server: Judged, name: string, input: Record<string, unknown>): Promise<unknown> {
  const path = `/api/commands/${name}`;
  const { status, text, body } = await call(server, "post", path, path, {
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
  });
  assert.equal(status, 200, `${name}: ${text}`);
  return body;
}

/** Which path of the description an address belongs to; the one with the fewest fields. */
function pathOfAddress({ document }: Judged, address: string): string {
  const path = address.split("?", 1)[0] ?? "";
  const fits = Object.keys(document.paths).filter((one) =>
    new RegExp(`^${one.replaceAll(".", "\\.").replaceAll(/\{[^}]*\}/g, "[^/]+")}$`).test(path),
  );
  return fits.toSorted((a, b) => a.split("{").length - b.split("{").length)[0] ?? "";
}

/** Asks a query by its address; its answer fits the description. */
export async function ask(server: Judged, address: string): Promise<unknown> {
  const { status, text, body } = await call(server, "get", pathOfAddress(server, address), address);
  assert.equal(status, 200, `${address}: ${text}`);
  return body;
}

/** The examples as a shell reads them: each call's words, with `curl` replaced by something that says them. */
export function readBySh(server: Judged, places: Place[]): string[][] {
  const say = String.raw`curl() { for word in "$@"; do printf '%s\0' "$word"; done; printf '\036'; }`;
  const script = [say, ...places.map(curlOf)].join("\n");
  const env = { TUTTI_URL: server.url, TUTTI_TOKEN: server.token };
  const said = execFileSync("/bin/sh", ["-s"], { env, input: script, encoding: "utf8" });
  return said
    .split("\x1e")
    .slice(0, -1)
    .map((call) => call.split("\0").slice(0, -1));
}

/** Sends what an example says; its answer fits the description. */
export async function runExample(server: Judged, { method, path }: Place, words: string[]): Promise<Answered> {
  const address = (words.find((word) => word.startsWith("http")) ?? "").slice(server.url.length);
  const headers = words
    .filter((_, index) => words[index - 1] === "-H")
    .map((line): [string, string] => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]);
  const body = words.includes("-d") ? words[words.indexOf("-d") + 1] : undefined;
  assert.equal(words.includes("-X") ? words[words.indexOf("-X") + 1] : "GET", method.toUpperCase());
  return await call(server, method, path, address, { token: null, headers: Object.fromEntries(headers), body });
}

/** The items of a stream that were sent until its `end`, or until there are so many; each fits the description. */
export async function itemsOf(server: Judged, path: string, address: string, until: "end" | number): Promise<unknown[]> {
  const stop = new AbortController();
  const response = await fetch(new URL(address, server.url), { headers: { authorization: `Bearer ${server.token}` }, signal: stop.signal });
  const type = response.headers.get("content-type")?.split(";")[0] ?? null;
  const items: unknown[] = [];
  for await (const { event, data } of readServerSentEvents(response.body as AsyncIterable<Uint8Array>)) {
    if (event === "end") break;
    if (event === "ready") continue;
    const body: unknown = JSON.parse(data);
    assert.deepEqual(server.documented.misfits("get", path, { status: response.status, type, body, isItem: true }), [], data);
    items.push(body);
    if (items.length === until) break;
  }
  stop.abort();
  return items;
}
