import type { IncomingMessage } from "node:http";
import { AppError, invalidInput } from "../../errors.ts";

/** Prompts, specs and flow files come in one piece; what is larger is an artifact. */
export const maxBodyBytes = 4 * 1024 * 1024;

/** The JSON value of a request's body; an empty body is an empty object. Throws AppError unsupported_media_type, too_large, invalid_input. */
export async function readJson(request: IncomingMessage, limit = maxBodyBytes): Promise<unknown> {
  const type = request.headers["content-type"] ?? "";
  if (!/^application\/json\s*(;\s*charset=("?)utf-8\2\s*)?$/i.test(type)) {
    throw new AppError("unsupported_media_type", "the body must be JSON", {
      why: type ? `its Content-Type is ${type.slice(0, 100)}` : "it has no Content-Type",
      fix: ["send Content-Type: application/json"],
    });
  }
  if (request.headers["content-encoding"] !== undefined) {
    throw new AppError("unsupported_media_type", "the body must not be compressed", { fix: ["send it without Content-Encoding"] });
  }
  const text = await readText(request, limit);
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidInput("the body is not JSON", error instanceof Error ? error.message : undefined);
  }
}

async function readText(request: IncomingMessage, limit: number): Promise<string> {
  if (Number(request.headers["content-length"] ?? 0) > limit) throw tooLarge(limit);
  const bytes = await collect(request, limit);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw invalidInput("the body is not UTF-8");
  }
}

/** Listens instead of iterating: leaving an iteration early would destroy the socket before the answer is sent. */
function collect(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) {
        chunks.length = 0;
        reject(tooLarge(limit));
      } else chunks.push(chunk);
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", reject);
    request.on("close", () => reject(new AppError("invalid_input", "the request broke off")));
  });
}

const tooLarge = (limit: number): AppError =>
  new AppError("too_large", `the body is larger than ${limit / 1024 / 1024} MB`, { fix: ["split it, or pass a file by reference"] });
