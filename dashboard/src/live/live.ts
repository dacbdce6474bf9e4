import type { Query } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import type { Event } from "../../../src/events/event.ts";
import { client, queries, type QueryName } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { isStaleBy } from "./stale.ts";

/**
 * What happens on the server, as it happens: one stream for the whole browser, whatever number of tabs. The tab that holds the
 * lock reads it and tells the others; when it is closed another takes over, behind the same place. Events make cached answers
 * stale (gathered for a moment, so that a burst asks once); live text goes to whoever has that session open.
 */
export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  /** What is shown is as old as `since`, ms. */
  | { state: "stale"; since: number }
  /** The server does not know this browser (any more). */
  | { state: "refused" };

export interface LiveText {
  session: string;
  turn: number;
  kind: "text" | "thought" | "tool";
  text: string;
}

type Heard =
  | { kind: "connection"; connection: Connection; position: string | null }
  | { kind: "ready" }
  | { kind: "event"; event: Event; position: string | null }
  | { kind: "delta"; delta: LiveText }
  | { kind: "transcript"; session: string };

/** Between tabs: what the leader heard, and which sessions a tab has open. */
type Said = { from: "leader"; heard: Heard } | { from: "tab"; tab: string; sessions: string[] } | { from: "leader"; ask: true };

/** What comes close together asks once: the first is told at once, the next ones together after this. */
const gatherMs = 200;
const firstMs = 20;
const tab = crypto.randomUUID();

let connection: Connection = { state: "connecting" };
/** The place behind the last event that this tab heard; it goes on from there when it becomes the leader. */
let position: string | null = null;
const connectionListeners = new Set<() => void>();
const sessionListeners = new Map<string, Set<(heard: LiveText | null) => void>>();
const wantedByTabs = new Map<string, string[]>();
let channel: BroadcastChannel | null = null;
let wantedChanged: (() => void) | null = null;

let gathered: Event[] = [];
let gathering: ReturnType<typeof setTimeout> | null = null;
let flushedAt = 0;
/** Queries that something happened to while they were being asked: their answers may be older than that. */
const askAgain = new Set<Query>();

/** Starts to listen. Call once. */
export function startLive(): void {
  watchAnswers();
  channel = new BroadcastChannel("tutti-live");
  channel.onmessage = ({ data }: MessageEvent<Said>) => {
    if ("heard" in data) take(data.heard);
    else if ("ask" in data) sayWanted();
    else {
      wantedByTabs.set(data.tab, data.sessions);
      wantedChanged?.();
    }
  };
  addEventListener("pagehide", () => channel?.postMessage({ from: "tab", tab, sessions: [] } satisfies Said));
  sayWanted();
  // Held as long as this page lives; the next tab in line gets it then.
  if ("locks" in navigator) void navigator.locks.request("tutti-live", () => lead());
  else void lead();
}

async function lead(): Promise<void> {
  channel?.postMessage({ from: "leader", ask: true } satisfies Said);
  for (;;) {
    const change = new AbortController();
    wantedChanged = () => change.abort();
    const sessions = [...new Set([...wantedByTabs.values(), openSessions()].flat())].toSorted();
    try {
      await listen(sessions, change.signal);
    } catch (error) {
      const { code } = problemOf(error);
      if (code === "unauthenticated" || code === "forbidden")
        return tell({ kind: "connection", connection: { state: "refused" }, position });
      lost();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

function lost(): void {
  if (connection.state !== "stale") tell({ kind: "connection", connection: { state: "stale", since: Date.now() }, position });
}

async function listen(sessions: string[], signal: AbortSignal): Promise<void> {
  const items = client.follow(
    "live.follow",
    { sessions },
    {
      after: position,
      signal,
      patienceMs: Infinity,
      onReady: (place) => tell({ kind: "connection", connection: { state: "live" }, position: place }),
      // Older than what the server keeps, or another store: everything is asked for again.
      onReset: () => tell({ kind: "ready" }),
      onLost: lost,
    },
  );
  for await (const { id, event, data } of items) {
    if (event === "event") tell({ kind: "event", event: data as Event, position: id });
    else if (event === "delta") tell({ kind: "delta", delta: data as LiveText });
    else tell({ kind: "transcript", session: (data as { session: string }).session });
  }
  if (!signal.aborted) throw new Error("the stream has ended");
}

function tell(heard: Heard): void {
  take(heard);
  channel?.postMessage({ from: "leader", heard } satisfies Said);
}

function take(heard: Heard): void {
  switch (heard.kind) {
    case "connection": {
      const wasAway = connection.state === "connecting" || connection.state === "stale";
      connection = heard.connection;
      position = heard.position ?? position;
      for (const listener of connectionListeners) listener();
      // Requests that failed meanwhile are made again; what events changed comes by the events.
      if (connection.state === "live" && wasAway) void queries.invalidateQueries();
      if (connection.state === "live") for (const session of openSessions()) announce(session, null);
      return;
    }
    case "ready":
      void queries.invalidateQueries();
      return;
    case "event":
      position = heard.position ?? position;
      gathered.push(heard.event);
      gathering ??= setTimeout(flush, Math.max(firstMs, flushedAt + gatherMs - performance.now()));
      return;
    case "delta":
      announce(heard.delta.session, heard.delta);
      return;
    case "transcript":
      announce(heard.session, null);
  }
}

/**
 * A question that is under way is not asked anew: where events come faster than answers it would never be answered. It is asked
 * once more when its answer is there.
 */
function flush(): void {
  const events = gathered;
  gathered = [];
  gathering = null;
  flushedAt = performance.now();
  void queries.invalidateQueries({
    predicate: (query) => {
      if (!events.some((event) => isStaleBy(event, query.queryKey as unknown as readonly [QueryName, unknown]))) return false;
      if (query.state.fetchStatus === "fetching") askAgain.add(query);
      return query.state.fetchStatus !== "fetching";
    },
  });
}

function watchAnswers(): void {
  queries.getQueryCache().subscribe(({ query }) => {
    if (query.state.fetchStatus === "fetching" || !askAgain.delete(query)) return;
    void queries.invalidateQueries({ predicate: (one) => one === query });
  });
}

const openSessions = (): string[] => [...sessionListeners.keys()];

function announce(session: string, heard: LiveText | null): void {
  for (const listener of sessionListeners.get(session) ?? []) listener(heard);
}

function sayWanted(): void {
  channel?.postMessage({ from: "tab", tab, sessions: openSessions() } satisfies Said);
  wantedChanged?.();
}

/** Tells a listener of a session's live text, and (null) that its transcript has grown. Answers the way to stop it. */
export function onSession(session: string, listener: (heard: LiveText | null) => void): () => void {
  const listeners = sessionListeners.get(session) ?? new Set();
  listeners.add(listener);
  sessionListeners.set(session, listeners);
  if (listeners.size === 1) sayWanted();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0 || sessionListeners.get(session) !== listeners) return;
    sessionListeners.delete(session);
    sayWanted();
  };
}

export const useConnection = (): Connection =>
  useSyncExternalStore(
    (listener) => {
      connectionListeners.add(listener);
      return () => connectionListeners.delete(listener);
    },
    () => connection,
  );
