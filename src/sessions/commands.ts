import { z } from "zod";
import { cursorOf, positionOf } from "../cursor.ts";
import { invalidInput } from "../errors.ts";
import { listOf, Page, page, query, stream } from "../registry.ts";
import { Event } from "../events/event.ts";
import { followSession } from "./follow.ts";
import { followLive } from "./live.ts";
import { Session, TranscriptEntry, Turn } from "./session.ts";
import { getRepository, getSession, listSessions, listTurns } from "./store.ts";
import { placeOf, placeText, readingFrom, readOn, type Place } from "./transcript.ts";

const Id = z.strictObject({ id: z.string().min(1).max(100) });

/** An agent may look at its own session. */
const ownSession = { session: async ({ id }: { id: string }): Promise<string> => id };

const maxDiffBytes = 4 * 1024 * 1024;

export const listSessionsQuery = query({
  name: "session.list",
  help: "Conversations with agents, newest first.",
  path: "/sessions",
  input: z.strictObject({ ...Page.shape, task: z.string().optional(), project: z.string().optional() }),
  output: listOf(Session),
  access: "person",
  cli: { verb: "ls sessions", columns: ["id", "task", "agent", "state", "reason"], custom: true },
  mcp: { tool: "list_sessions", group: "sessions" },
  async run({ limit, cursor, task, project }, { read }) {
    const sessions = await listSessions(read, { task, project, before: positionOf(cursor), limit: limit + 1 });
    return page(sessions, limit, (session) => cursorOf(session.createdAt, session.id));
  },
});

export const getSessionQuery = query({
  name: "session.get",
  help: "One conversation with an agent.",
  path: "/sessions/:id",
  input: Id,
  output: Session,
  access: ownSession,
  mcp: { tool: "get_session", group: "sessions" },
  run: ({ id }, { read }) => getSession(read, id),
});

export const listTurnsQuery = query({
  name: "session.turns",
  help: "A session's turns in their order.",
  path: "/sessions/:id/turns",
  input: Id.extend(Page.shape),
  output: listOf(Turn),
  access: ownSession,
  mcp: { tool: "list_turns", group: "sessions" },
  async run({ id, limit, cursor }, { read }) {
    await getSession(read, id);
    const after = cursor === undefined ? -1 : Number(cursor);
    if (!Number.isInteger(after)) throw badCursor();
    return page(await listTurns(read, id, { after, limit: limit + 1 }), limit, (turn) => String(turn.turn));
  },
});

export const readTranscript = query({
  name: "session.transcript",
  help: "What was said and done in a session, in its order.",
  path: "/sessions/:id/transcript",
  input: Id.extend(Page.shape),
  // `at` is the place behind the last entry: as a cursor it brings what is said later.
  output: listOf(TranscriptEntry).extend({ at: z.string() }),
  access: ownSession,
  mcp: { tool: "read_transcript", group: "sessions" },
  async run({ id, limit, cursor }, { read, artifacts }) {
    await getSession(read, id);
    const reading = readingFrom(startOf(cursor ?? null));
    const items: TranscriptEntry[] = [];
    let at = placeText(reading);
    for await (const entry of readOn({ read, artifacts, session: id }, reading)) {
      // One entry too many: there is another page, and it begins behind the last entry of this one.
      if (items.length === limit) return { items, next: at, at };
      items.push(entry);
      at = placeText(reading);
    }
    return { items, next: null, at };
  },
});

export const sessionDiff = query({
  name: "session.diff",
  help: "Everything that a session changed, as one unified diff.",
  path: "/sessions/:id/diff",
  input: Id,
  output: z.object({ diff: z.string() }),
  access: ownSession,
  mcp: { tool: "session_diff", group: "sessions" },
  async run({ id }, { read, workspaces }) {
    const { project, base, commit } = await getSession(read, id);
    if (base === null || commit === null) return { diff: "" };
    const repository = await getRepository(read, project);
    return { diff: await workspaces.diff({ repository, from: base, to: commit, maxBytes: maxDiffBytes }) };
  },
});

const LiveText = z.object({ session: z.string(), turn: z.int(), kind: z.enum(["text", "thought", "tool"]), text: z.string() });

export const followSessionStream = stream({
  name: "session.follow",
  help: "A session's conversation as it goes on: its entries, and live text before it is stored. Ends with the session.",
  path: "/sessions/:id/follow",
  input: Id,
  item: z.union([TranscriptEntry, LiveText]),
  access: ownSession,
  mcp: { tool: "follow_session", group: "sessions" },
  run: ({ id }, { read, artifacts, bus }, after, signal) =>
    followSession({ read, artifacts, bus, session: id, from: startOf(after), signal }),
});

export const followLiveStream = stream({
  name: "live.follow",
  help: "For a screen: the events of all projects, and live text of the sessions that are open on it. Goes on behind Last-Event-ID.",
  path: "/live",
  input: z.strictObject({ sessions: z.array(z.string().max(100)).max(50).default([]).describe("those whose conversation comes too") }),
  item: z.union([Event, LiveText, z.object({ session: z.string() })]),
  access: "person",
  run: ({ sessions }, { read, bus }, after, signal) => followLive({ read, bus, sessions, after, signal }),
});

/** Throws AppError invalid_input for a text that is no place in a transcript. */
function startOf(text: string | null): Place {
  if (text === null) return { turn: 0, index: 0 };
  const place = placeOf(text);
  if (!place) throw badCursor();
  return place;
}

const badCursor = () =>
  invalidInput("the cursor does not name a place in this session", undefined, ["leave the cursor out to start again"]);
