import { Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { Protocol } from "./model.ts";

/** What a provider says that a call used, in tokens. `inputTokens` are all of them, those from a cache included. */
export interface CallUsage {
  model: string | null;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
}

/** A longer answer, or a longer line of a stream, is passed on without being looked into. */
const longestText = 4 * 1024 * 1024;

/**
 * Lets an answer through and tells, when it is over, what it says about its usage: the last word counts, as streams repeat it;
 * what a later part leaves out stays as an earlier one said.
 */
export function watchUsage(contentType: string, protocol: Protocol, onUsage: (usage: CallUsage) => void): Transform {
  const isStream = contentType.includes("text/event-stream");
  const decoder = new StringDecoder("utf8");
  let text = "";
  let found: Figures | null = null;
  const look = (json: string): void => {
    // Most parts of a stream carry none: not parsing them is most of the work saved.
    if (!json.includes('"usage')) return;
    const value = parse(json);
    // Google's stream without alt=sse is one list of all parts.
    for (const part of Array.isArray(value) ? value : [value]) {
      const figures = isRecord(part) ? figuresIn[protocol](part) : null;
      if (figures) found = { ...found, ...known(figures) };
    }
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      text += decoder.write(chunk);
      if (isStream) {
        const lines = text.split("\n");
        text = lines.pop() ?? "";
        for (const line of lines) if (line.startsWith("data:")) look(line.slice(5));
      }
      if (text.length > longestText) text = "";
      done(null, chunk);
    },
    flush(done) {
      look(isStream ? text.replace(/^data:/, "") : text);
      if (found) onUsage(usageOf(found));
      done();
    },
  });
}

type Json = Record<string, unknown>;

/** The figures in a provider's own words, as far as a part of its answer says them. */
interface Figures {
  model?: unknown;
  input?: unknown;
  output?: unknown;
  cached?: unknown;
  /** Beside `input`, not in it. */
  cachedBeside?: unknown;
  writtenBeside?: unknown;
  thoughts?: unknown;
}

const figuresIn: Readonly<Record<Protocol, (part: Json) => Figures | null>> = {
  /** Chat Completions, Responses and embeddings, whole or as a part of a stream. */
  openai(part) {
    const answer = isRecord(part.response) ? part.response : part;
    if (!isRecord(answer.usage)) return null;
    const { usage } = answer;
    const details = usage.prompt_tokens_details ?? usage.input_tokens_details;
    return {
      model: answer.model,
      input: usage.prompt_tokens ?? usage.input_tokens,
      output: usage.completion_tokens ?? usage.output_tokens,
      cached: isRecord(details) ? details.cached_tokens : undefined,
    };
  },
  /** A message; of a stream its start, which has the input, and its newest delta. https://docs.claude.com/en/api/messages */
  anthropic(part) {
    const answer = isRecord(part.message) ? part.message : part;
    if (!isRecord(answer.usage)) return null;
    const { usage } = answer;
    return {
      model: answer.model,
      input: usage.input_tokens,
      output: usage.output_tokens,
      cachedBeside: usage.cache_read_input_tokens,
      writtenBeside: usage.cache_creation_input_tokens,
    };
  },
  /** https://ai.google.dev/api/generate-content#UsageMetadata */
  google(part) {
    if (!isRecord(part.usageMetadata)) return null;
    const { usageMetadata: usage } = part;
    return {
      model: part.modelVersion,
      input: usage.promptTokenCount,
      output: usage.candidatesTokenCount,
      cached: usage.cachedContentTokenCount,
      thoughts: usage.thoughtsTokenCount,
    };
  },
};

const known = (figures: Figures): Figures =>
  Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined && value !== null));

const usageOf = ({ model, input, output, cached, cachedBeside, writtenBeside, thoughts }: Figures): CallUsage => ({
  model: typeof model === "string" ? model : null,
  inputTokens: count(input) + count(cachedBeside) + count(writtenBeside),
  outputTokens: count(output) + count(thoughts),
  cachedTokens: count(cached ?? cachedBeside),
});

const count = (value: unknown): number => (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0);

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // "[DONE]" and the like: not ours to judge.
    return null;
  }
}
