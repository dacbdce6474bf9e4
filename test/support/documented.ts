import { Ajv2020 } from "ajv/dist/2020.js";
import type { OpenApi } from "../../src/entry/openapi.ts";

/** Judges answers by the API's description: every misfit is one sentence. */
export interface Documented {
  /** What is wrong with an answer to `method` and `path` (as the description writes it); a stream's item with `item`. */
  misfits(method: "get" | "post", path: string, answer: Answer): string[];
}

export interface Answer {
  status: number;
  type: string | null;
  /** Parsed JSON, when it is JSON. */
  body: unknown;
  /** One item of a stream instead of a body. */
  isItem?: boolean;
}

type Json = Record<string, unknown>;

export function documentedBy(document: OpenApi): Documented {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: "api", ...(closed(document) as Json) });
  return {
    misfits(method, path, { status, type, body, isItem = false }) {
      const place = `${method.toUpperCase()} ${path} ${status}`;
      const responses = document.paths[path]?.[method]?.responses as Record<string, Json> | undefined;
      const response = resolved(document, responses?.[status]);
      if (!response) return [`${place} is not in the description`];
      const content = response.content as Record<string, Json> | undefined;
      if (!content) return type === null ? [] : [`${place} has a body of ${type}, and the description knows none`];
      const media = content[type ?? ""];
      if (!media) return [`${place} is ${type}, and the description says ${Object.keys(content).join(", ")}`];
      if (type === "application/octet-stream" || (type === "text/event-stream" && !isItem)) return [];
      const schema = JSON.stringify(closed(isItem ? media["x-tutti-item"] : media.schema)).replaceAll('"#/', '"api#/');
      const validate = ajv.compile(JSON.parse(schema) as Json);
      if (validate(body)) return [];
      return (validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${place}${instancePath} ${message} ${JSON.stringify(params)}`,
      );
    },
  };
}

const resolved = (document: OpenApi, response: Json | undefined): Json | undefined =>
  typeof response?.$ref === "string" ? (document.components.responses[response.$ref.split("/").at(-1) ?? ""] as Json) : response;

/** A client must take fields that it does not know; the server must not send any that the description does not know. */
function closed(schema: unknown, isPart = false): unknown {
  if (Array.isArray(schema)) return schema.map((one) => closed(one, isPart));
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value, key === "allOf")]));
  const isOpen = inner.type === "object" && inner.properties !== undefined && inner.additionalProperties === undefined && !isPart;
  return isOpen ? { ...inner, additionalProperties: false } : inner;
}
