import { z } from "zod";
import { invalidInput } from "./errors.ts";

/** A place in a list that is ordered by time and id. */
const Position = z.tuple([z.int(), z.string()]);

export const cursorOf = (at: number, id: string): string => Buffer.from(JSON.stringify([at, id])).toString("base64url");

/** The place that a page's `next` names; null without one. Throws AppError invalid_input for anything else. */
export function positionOf(cursor: string | undefined): { at: number; id: string } | null {
  if (cursor === undefined) return null;
  const position = Position.safeParse(jsonOf(cursor));
  if (!position.success)
    throw invalidInput("the cursor does not name a place in this list", undefined, ["leave the cursor out to start again"]);
  return { at: position.data[0], id: position.data[1] };
}

/** The value inside of a base64url JSON text; undefined when it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
  } catch {
    // Whoever asked decides what a text that is no JSON means.
    return undefined;
  }
}

/** A place in a list that is ordered by the time of creation, the newest first. */
export const createdCursor = (row: { created_at: number; id: string }): string => `${row.created_at}.${row.id}`;

export function splitCursor(cursor: string): [number, string] {
  const dot = cursor.indexOf(".");
  return [Number(cursor.slice(0, dot)) || 0, cursor.slice(dot + 1)];
}
