import type { IncomingMessage } from "node:http";
import { z } from "zod";
import type { Artifacts } from "../../artifacts/artifact.ts";
import { AppError, notFound } from "../../errors.ts";
import type { Line } from "./line.ts";

const headMs = 30_000;
/** A gigabyte may take its time; what stands still is cut by the server. */
const putMs = 30 * 60_000;

const Put = z.object({ id: z.string(), size: z.number() });

/** The server's artifacts, for a runner of another process: streamed both ways. */
export function remoteArtifacts(line: Line): Artifacts {
  const pathOf = (id: string): string => {
    if (!/^[0-9a-f]{64}$/.test(id)) throw notFound("artifact", id);
    return `/runner/artifacts/${id}`;
  };

  async function* open(id: string, start = 0, end = Infinity): AsyncGenerator<Uint8Array> {
    if (end <= start) return;
    const range = `?start=${start}${end === Infinity ? "" : `&end=${end}`}`;
    const response = await line.open({ method: "GET", path: pathOf(id) + range, timeoutMs: headMs });
    yield* bodyOf(response);
  }
  const textOf = async (bytes: AsyncIterable<Uint8Array>): Promise<string> => Buffer.concat(await Array.fromAsync(bytes)).toString("utf8");

  return {
    async put(content) {
      const body = typeof content === "string" || content instanceof Uint8Array ? one(Buffer.from(content)) : copiesOf(content);
      const response = await line.open({ method: "PUT", path: "/runner/artifacts", body, timeoutMs: putMs });
      return Put.parse(JSON.parse(await textOf(bodyOf(response))));
    },
    async size(id) {
      const response = await line.open({ method: "HEAD", path: pathOf(id), timeoutMs: headMs });
      response.resume();
      if (response.statusCode === 404) throw notFound("artifact", id);
      return Number(response.headers["content-length"]);
    },
    open,
    text: (id) => textOf(open(id)),
  };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A request keeps pieces until they are sent, and a source may use the memory of a piece again when it is asked for the next. */
async function* copiesOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of content) yield Buffer.from(piece);
}

/** Bytes as they come; an answer that broke off is an error, not an end. */
async function* bodyOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } catch (error) {
    throw new AppError("unreachable", "the artifact broke off", { cause: error });
  }
}
