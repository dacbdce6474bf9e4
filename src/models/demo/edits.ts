import type { DemoCall } from "./behaviour.ts";
import type { Mutation } from "./mutations.ts";

/** A change as the edit tool wants it, and the one that takes it back. */
export interface Edit {
  path: string;
  before: string;
  after: string;
  apply: DemoCall;
  revert: DemoCall;
}

/** Takes whole lines around the place, as many as make the text unique both before and after. null when no lines do. */
export function editFor(path: string, before: string, mutation: Pick<Mutation, "start" | "end" | "text">): Edit | null {
  const after = before.slice(0, mutation.start) + mutation.text + before.slice(mutation.end);
  const grown = after.length - before.length;
  let start = lineStart(before, mutation.start);
  let end = lineEnd(before, mutation.end);
  for (;;) {
    const oldText = before.slice(start, end);
    const newText = after.slice(start, end + grown);
    if (isUnique(before, oldText) && isUnique(after, newText)) {
      return { path, before, after, apply: edit(path, oldText, newText), revert: edit(path, newText, oldText) };
    }
    if (start === 0 && end === before.length) return null;
    start = start === 0 ? 0 : lineStart(before, start - 1);
    end = end === before.length ? end : lineEnd(before, end + 1);
  }
}

const edit = (path: string, oldText: string, newText: string): DemoCall => ({ tool: "edit", input: { path, oldText, newText } });

const isUnique = (text: string, part: string): boolean => part !== "" && text.indexOf(part) === text.lastIndexOf(part);

const lineStart = (text: string, at: number): number => text.lastIndexOf("\n", at - 1) + 1;

const lineEnd = (text: string, at: number): number => {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
};
