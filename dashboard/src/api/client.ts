import { QueryClient } from "@tanstack/react-query";
import { routes } from "virtual:routes";
import type { z } from "zod";
import type { entries } from "../../../src/commands.ts";
import { makeClient, type Client } from "../../../src/entry/client.ts";
import { AppError } from "../../../src/errors.ts";
import { keyHeader, storedKey } from "./session.ts";

type Entries = typeof entries;

/** The typed client of the whole API. Names, inputs and answers are the registry's own; only paths come along at run time. */
export const client = makeClient({
  url: location.origin,
  token: null,
  // Asked for each request: the key comes after this module.
  headers: {
    get [keyHeader]() {
      return storedKey();
    },
  },
  entries: routes as unknown as Entries,
}) as Client<Entries>;

type QueryEntry = Extract<Entries[number], { kind: "query" }>;
export type QueryName = QueryEntry["name"];
export type InputOf<Name extends QueryName> = z.input<Extract<QueryEntry, { name: Name }>["input"]>;
export type AnswerOf<Name extends QueryName> = z.output<Extract<QueryEntry, { name: Name }>["output"]>;

// The client's own types say the same, in a form that does not survive a type parameter.
const answer = <Name extends QueryName>(name: Name, input: InputOf<Name>, signal: AbortSignal): Promise<AnswerOf<Name>> =>
  (client.query as (name: string, input: unknown, options: { signal: AbortSignal }) => Promise<unknown>)(name, input, {
    signal,
  }) as Promise<AnswerOf<Name>>;

/** For `useQuery`: the key is the entry's name and its input, so that an event can name what it makes stale. */
export const ask = <Name extends QueryName>(name: Name, input: InputOf<Name>) => ({
  queryKey: [name, input] as const,
  queryFn: ({ signal }: { signal: AbortSignal }): Promise<AnswerOf<Name>> => answer(name, input, signal),
});

/**
 * For `useInfiniteQuery`: every further page is the cursor that the last one named. Its key is another one than that of `ask`: what is
 * kept under it is a list of answers, and whoever takes one for the other breaks.
 */
export const pages = <Name extends QueryName>(name: Name, input: InputOf<Name>) => ({
  queryKey: [name, input, "pages"] as const,
  queryFn: ({ signal, pageParam }: { signal: AbortSignal; pageParam: string | undefined }): Promise<AnswerOf<Name>> =>
    answer(name, { ...(input as object), cursor: pageParam } as InputOf<Name>, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last: AnswerOf<Name>): string | undefined => (last as { next?: string | null }).next ?? undefined,
});

/** What is on the screen is kept true by events, not by asking again and again. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Infinity,
      gcTime: 10 * 60_000,
      refetchOnWindowFocus: false,
      // The stream says when the server is back; until then what we have is shown as stale.
      retry: (failures, error) => failures < 2 && error instanceof AppError && error.retryable && error.code !== "unreachable",
    },
  },
});
