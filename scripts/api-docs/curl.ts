import type { Place } from "./api-page.ts";

/** A command line that calls the operation with its example, for a shell with TUTTI_URL and TUTTI_TOKEN. */
export function curlOf({ method, path, operation }: Place): string {
  const isOpen = operation["x-tutti-access"] === "anyone";
  const examples = operation.parameters.filter((parameter) => Object.hasOwn(parameter, "example"));
  const address = examples
    .filter((parameter) => parameter.in === "path")
    .reduce((text, { name, example }) => text.replace(`{${String(name)}}`, encodeURIComponent(String(example))), path);
  const search = new URLSearchParams();
  for (const { name, example } of examples.filter((parameter) => parameter.in === "query"))
    for (const one of [example].flat()) search.append(String(name), String(one));
  const body = operation.requestBody?.content["application/json"].example;
  const isStream = operation.responses["200"]?.content?.["text/event-stream"] !== undefined;
  return [
    `curl -sS${isStream ? "N" : ""} "$TUTTI_URL${address}${search.size > 0 ? `?${search.toString()}` : ""}"`,
    ...(method === "post" ? ["-X POST"] : []),
    ...(isOpen ? [] : ['-H "Authorization: Bearer $TUTTI_TOKEN"']),
    ...(body === undefined ? [] : ['-H "Content-Type: application/json"', `-d ${quoted(JSON.stringify(body))}`]),
  ].join(" \\\n  ");
}

/** One word for a shell, whatever is in it. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
