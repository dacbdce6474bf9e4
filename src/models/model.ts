import { z } from "zod";

/** The language that a provider speaks: OpenAI's (most others and all local servers speak it too), Anthropic's or Google's. */
export const Protocol = z.enum(["openai", "anthropic", "google"]);
export type Protocol = z.infer<typeof Protocol>;

/** Which of OpenAI's two APIs is spoken: Chat Completions, which everybody has, or Responses. */
export const OpenAiApi = z.enum(["chat", "responses"]);
export type OpenAiApi = z.infer<typeof OpenAiApi>;

/** A model that a session may use, as the session knows it: without address and key. */
export const SessionModel = z.object({
  /** The provider's name. */
  provider: z.string(),
  protocol: Protocol,
  /** null: the protocol is not OpenAI's. */
  api: OpenAiApi.nullable(),
  model: z.string(),
});
export type SessionModel = z.infer<typeof SessionModel>;

/** The broker's door for one session: the model that its agent uses, and those that go on when that one cannot. */
export const BrokerAccess = SessionModel.extend({
  /** http://127.0.0.1:port. OpenAI's API is at /v1, Anthropic's at /v1/messages, Google's at /v1beta. */
  url: z.string(),
  /** The session's own; it takes the place of a key. */
  token: z.string(),
  fallbacks: z.array(SessionModel),
});
export type BrokerAccess = z.infer<typeof BrokerAccess>;
