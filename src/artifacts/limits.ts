import { AppError, notFound } from "../errors.ts";
import { ArtifactId, type Artifacts } from "./artifact.ts";

type Content = Parameters<Artifacts["put"]>[0];

/** Throws AppError not_found for anything that is no id, so that no id ever leads out of the place of artifacts. */
export function checkArtifactId(id: string): string {
  if (!ArtifactId.safeParse(id).success) throw notFound("artifact", id);
  return id;
}

/** The content in pieces as they come. Throws AppError too_large with the piece that goes beyond `maxBytes`. */
export async function* limited(content: Content, maxBytes: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of piecesOf(content)) {
    size += chunk.byteLength;
    if (size > maxBytes) throw artifactTooLarge(size, maxBytes);
    yield chunk;
  }
}

function piecesOf(content: Content): AsyncIterable<Uint8Array> | Uint8Array[] {
  if (typeof content === "string") return [Buffer.from(content)];
  return content instanceof Uint8Array ? [content] : content;
}

const artifactTooLarge = (size: number, maxBytes: number): AppError =>
  new AppError("too_large", `an artifact of ${size} bytes or more is over the limit of ${maxBytes} bytes`, {
    why: "nothing of it was kept",
    fix: ["split it, or keep it in the repository"],
  });

export const sessionTooLarge = (session: string, size: number, maxBytes: number): AppError =>
  new AppError("too_large", `the artifacts of session ${session} would have ${size} bytes, over the limit of ${maxBytes} bytes`, {
    why: "all large results and transcripts of a session count together",
    fix: ["keep large results in the repository", "write less to the output"],
  });
