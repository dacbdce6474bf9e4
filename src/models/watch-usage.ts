import { Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** What a provider says that a call used, in tokens. */
export interface CallUsage {
  model: string | null;
  inputTokens: number;
  outputTokens: number;
  cachedTokens: number;
}

/** A longer answer, or a longer line of a stream, is passed on without being looked into. */
const longestText = 4 * 1024 * 1024;

/** Lets an answer through and tells, when it is over, what it says about its usage: the last word counts, as streams repeat it. */
export function watchUsage(contentType: string, onUsage: (usage: CallUsage) => void): Transform {
  const isStream = contentType.includes("text/event-stream");
  const decoder = new StringDecoder("utf8");
  let text = "";
  let found: CallUsage | null = null;
  const look = (json: string): void => {
    found = usageIn(json) ?? found;
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
      if (found) onUsage(found);
      done();
    },
  });
}

/** Of Chat Completions, Responses and embeddings, whole or as a part of a stream. */
function usageIn(json: string): CallUsage | null {
  // Most parts of a stream carry none: not parsing them is most of the work saved.
  if (!json.includes('"usage"')) return null;
  const value = parse(json);
  const answer = isRecord(value) && isRecord(value.response) ? value.response : value;
  if (!isRecord(answer) || !isRecord(answer.usage)) return null;
  const { usage } = answer;
  const details = usage.prompt_tokens_details ?? usage.input_tokens_details;
  return {
    model: typeof answer.model === "string" ? answer.model : null,
    inputTokens: count(usage.prompt_tokens ?? usage.input_tokens),
    outputTokens: count(usage.completion_tokens ?? usage.output_tokens),
    cachedTokens: isRecord(details) ? count(details.cached_tokens) : 0,
  };
}

const count = (value: unknown): number => (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // "[DONE]" and the like: not ours to judge.
    return null;
  }
}
