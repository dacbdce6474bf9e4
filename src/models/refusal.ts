import type { Protocol } from "./model.ts";

/** What the broker answers in its own name, in words of our own: an unknown error could have anything in it. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** https://docs.claude.com/en/api/errors */
const anthropicTypes: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
};

/** https://google.aip.dev/193 */
const googleStatuses: Readonly<Record<number, string>> = {
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  504: "DEADLINE_EXCEEDED",
};

/** The body of a refusal, in the shape that programs know from providers of this protocol. */
export function refusalBody({ status, message }: Refusal, protocol: Protocol): object {
  const isOurs = status >= 500;
  switch (protocol) {
    case "openai":
      return { error: { message, type: "tutti_broker", code: null, param: null } };
    case "anthropic":
      return { type: "error", error: { type: anthropicTypes[status] ?? (isOurs ? "api_error" : "invalid_request_error"), message } };
    case "google":
      return { error: { code: status, message, status: googleStatuses[status] ?? (isOurs ? "UNAVAILABLE" : "INVALID_ARGUMENT") } };
  }
}
