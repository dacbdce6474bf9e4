import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { readConfig } from "../../../config.ts";
import { brief } from "../output.ts";

/** Something that a shell can offer: what is written, and what it is. */
export interface Offer {
  word: string;
  about: string;
}

/** What can be named by its id. With `states` only those that are in one of them. */
export interface Wanted {
  kind: Kind;
  states?: readonly string[];
}

interface Item {
  id?: unknown;
  name?: unknown;
  state?: unknown;
  [field: string]: unknown;
}

const kinds = {
  task: { path: "/api/tasks?limit=100", about: (item: Item) => [item.state, item.title] },
  run: { path: "/api/runs?limit=50", about: (item: Item) => [item.state, item.flow] },
  session: { path: "/api/sessions?limit=50", about: (item: Item) => [item.state, item.agent, item.task] },
  approval: { path: "/api/approvals?state=open&limit=50", about: (item: Item) => [item.question] },
  agent: { path: "/api/agents?limit=200", about: (item: Item) => [item.backend, (item.detection as Item | undefined)?.state] },
  project: { path: "/api/projects?limit=200", about: (item: Item) => [item.source] },
  provider: { path: "/api/providers?limit=200", about: (item: Item) => [item.model] },
  token: { path: "/api/tokens?limit=100", about: (item: Item) => [item.name] },
};
export type Kind = keyof typeof kinds;

/** A server that needs longer than this is not waited for: the shell stands still meanwhile. */
const usualPatienceMs = 50;
const aboutLength = 60;

/** What there is of these kinds on the running server, the newest first. [] when none answers in time. Never rejects. */
export async function liveOffers(wanted: readonly Wanted[], patienceMs = usualPatienceMs): Promise<Offer[]> {
  const server = findServer();
  if (!server) return [];
  const answers = wanted.map(async ({ kind, states }) => {
    const { path, about } = kinds[kind];
    const items = await ask(server, path, patienceMs);
    return items.filter((item) => !states || states.includes(String(item.state))).flatMap((item) => offer(item, about(item)));
  });
  return (await Promise.all(answers)).flat();
}

/**
 * Offered words are written into a command line, and what they are about is printed by the shell: only plain names pass, and no
 * control characters. Both may come from an agent.
 */
function offer(item: Item, about: unknown[]): Offer[] {
  const word = typeof item.id === "string" ? item.id : item.name;
  if (typeof word !== "string" || !/^\w[\w.@+-]*$/.test(word)) return [];
  const text = about.filter((part) => typeof part === "string").join(": ");
  return [{ word, about: brief(text, aboutLength) }];
}

interface ServerAddress {
  url: URL;
  token: string;
}

/** As `connect` finds it, without loading what checks the file: whatever is wrong with it only means that nothing is offered. */
function findServer(): ServerAddress | null {
  try {
    const config = readConfig();
    const file = config.url && config.token ? null : (JSON.parse(readFileSync(join(config.home, "server.json"), "utf8")) as ServerText);
    const url = new URL(config.url && config.token ? config.url : (file?.url ?? ""));
    const token = config.token ?? file?.token;
    return url.protocol === "http:" && typeof token === "string" && /^[\w-]+$/.test(token) ? { url, token } : null;
  } catch {
    return null; // No server, no ids.
  }
}

interface ServerText {
  url?: string;
  token?: string;
}

/**
 * One GET over a bare socket: loading Node's own HTTP takes 20 ms, a quarter of what a key press may cost. HTTP/1.0, so that the
 * answer is not chunked and ends with the connection.
 */
function ask({ url, token }: ServerAddress, path: string, patienceMs: number): Promise<Item[]> {
  return new Promise((resolve) => {
    const socket = connect(Number(url.port || 80), url.hostname);
    const timer = setTimeout(() => socket.destroy(), patienceMs);
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => (answer += text));
    socket.on("error", () => undefined); // "close" follows, and says it all.
    let isWhole = false;
    socket.on("end", () => (isWhole = true));
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(isWhole ? itemsOf(answer) : []);
    });
    socket.write(`GET ${path} HTTP/1.0\r\nHost: ${url.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  });
}

function itemsOf(answer: string): Item[] {
  const at = answer.indexOf("\r\n\r\n");
  if (at < 0 || !/^HTTP\/1\.[01] 200 /.test(answer)) return [];
  try {
    const body = JSON.parse(answer.slice(at + 4)) as { items?: unknown };
    return Array.isArray(body.items) ? (body.items as Item[]) : [];
  } catch {
    return []; // Something else listens there now.
  }
}
