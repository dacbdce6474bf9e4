import { request } from "node:http";
import { z } from "zod";
import { Protocol } from "./model.ts";

/** A model server that was found on this machine. It is offered, never added by itself. */
export const FoundProvider = z.object({
  /** A name that it could have as a provider. */
  name: z.string(),
  kind: z.enum(["ollama", "llama.cpp", "vllm", "lm studio", "openai-compatible"]),
  baseUrl: z.string(),
  protocol: Protocol,
  /** What it has, by name; may be empty. */
  models: z.array(z.string()),
});
export type FoundProvider = z.infer<typeof FoundProvider>;
type Kind = FoundProvider["kind"];

/** Where Ollama, llama.cpp, vLLM and LM Studio listen when nobody says otherwise. What answers there decides what it is, never the port. */
export const usualPlaces: readonly number[] = [11_434, 8080, 8000, 1234];

const usualLimitMs = 300;
const longestAnswer = 1024 * 1024;
const mostModels = 200;

/** Looks at these ports of 127.0.0.1, each look limited to 300 ms. What does not answer as a model server is left out. Never rejects. */
export async function discoverModels(ports: readonly number[], limitMs = usualLimitMs): Promise<FoundProvider[]> {
  const looks = [...new Set(ports)].map((port) => lookAt(port, (path) => get(port, path, limitMs)));
  const found = (await Promise.all(looks)).filter((one) => one !== null);
  return found.map((one, index) => {
    const isTaken = found.findIndex(({ name }) => name === one.name) < index;
    return isTaken ? { ...one, name: `${one.name}-${new URL(one.baseUrl).port}` } : one;
  });
}

/** One line without control characters: it is shown, and becomes part of a command. */
const ModelName = z.string().regex(/^[^\p{Cc}\p{Cf}]{1,200}$/u);

/** GET /v1/models of OpenAI's API. Ollama without any model says null. https://platform.openai.com/docs/api-reference/models/list */
const ModelList = z.object({
  object: z.literal("list"),
  data: z
    .array(z.object({ id: ModelName, object: z.literal("model").optional(), owned_by: z.string().optional() }))
    .nullable()
    .transform((data) => data ?? []),
});

async function lookAt(port: number, at: (path: string) => Promise<unknown>): Promise<FoundProvider | null> {
  const list = ModelList.safeParse(await at("/v1/models"));
  if (!list.success) return null;
  const { data } = list.data;
  const [tags, props, studio] = await Promise.all([at("/api/tags"), at("/props"), at("/api/v0/models")]);
  const { kind, models } = nature({
    owners: data.map(({ owned_by: owner }) => owner ?? ""),
    ids: data.map(({ id }) => id),
    tags,
    props,
    studio,
  });
  const name = { ollama: "ollama", "llama.cpp": "llamacpp", vllm: "vllm", "lm studio": "lmstudio", "openai-compatible": `local-${port}` }[
    kind
  ];
  return { name, kind, baseUrl: `http://127.0.0.1:${port}/v1`, protocol: "openai", models: models.slice(0, mostModels) };
}

/** GET /api/tags. https://github.com/ollama/ollama/blob/main/docs/api.md */
const OllamaTags = z.object({ models: z.array(z.object({ name: ModelName, digest: z.string() })) });
/** GET /props. https://github.com/ggml-org/llama.cpp/tree/master/tools/server */
const LlamaProps = z.object({ default_generation_settings: z.looseObject({}), total_slots: z.number() });
/** GET /api/v0/models. https://lmstudio.ai/docs/app/api/endpoints/rest */
const StudioModels = z.object({
  object: z.literal("list"),
  data: z.array(z.object({ id: ModelName, type: z.string(), publisher: z.string() })),
});

interface Answers {
  owners: string[];
  ids: string[];
  tags: unknown;
  props: unknown;
  studio: unknown;
}

/** Each has an answer of its own that the others do not give. */
function nature({ owners, ids, tags, props, studio }: Answers): { kind: Kind; models: string[] } {
  const ollama = OllamaTags.safeParse(tags);
  if (ollama.success) return { kind: "ollama", models: ollama.data.models.map(({ name }) => name) };
  const inStudio = StudioModels.safeParse(studio);
  if (inStudio.success) {
    // Those that make embeddings cannot speak.
    return { kind: "lm studio", models: inStudio.data.data.filter(({ type }) => type !== "embeddings").map(({ id }) => id) };
  }
  if (LlamaProps.safeParse(props).success || owners.includes("llamacpp")) return { kind: "llama.cpp", models: ids };
  return { kind: owners.includes("vllm") ? "vllm" : "openai-compatible", models: ids };
}

/** The JSON at a path of this machine; null: there is none, in time and in size. A redirect is no answer: node:http follows none. */
function get(port: number, path: string, limitMs: number): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const give = (value: unknown): void => {
    clearTimeout(timer);
    resolve(value);
    asked.destroy();
  };
  // A connection of its own: nothing stays open behind a look.
  const asked = request({ host: "127.0.0.1", port, path, agent: false, headers: { accept: "application/json" } }, (answer) => {
    if (answer.statusCode !== 200 || !(answer.headers["content-type"] ?? "").includes("json")) return give(null);
    const parts: Buffer[] = [];
    let bytes = 0;
    answer.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes > longestAnswer) give(null);
      else parts.push(part);
    });
    answer.once("end", () => give(parse(Buffer.concat(parts))));
    answer.once("error", () => give(null));
  });
  // Of the whole look, not of each silence: whoever drips bytes is no model server.
  const timer = setTimeout(() => give(null), limitMs);
  asked.once("error", () => give(null));
  asked.end();
  return promise;
}

function parse(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString("utf8"));
  } catch {
    // No JSON: no model server.
    return null;
  }
}
