/**
 * The hands of the in-process agent: a small program inside the session's sandbox that reads, writes and runs what the model
 * asks for. It speaks JSON lines: `{"id","tool","input"}` or `{"cancel":id}` on stdin; `{"ready":true}` and then
 * `{"id","ok","output"}` on stdout. It ends when stdin closes.
 */
import { createInterface } from "node:readline";
import { ToolFailure } from "./bounds.ts";
import { edit, list, read, search, write } from "./files.ts";
import { shell } from "./shell.ts";

type Tool = (input: Record<string, unknown>, signal: AbortSignal) => Promise<string>;

const tools: Record<string, Tool> = { read, write, edit, list, search, shell };
const running = new Map<number, AbortController>();

const say = (message: Record<string, unknown>): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

async function answer(id: number, name: string, input: Record<string, unknown>): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
    if (!tool) throw new ToolFailure(`there is no tool "${name}"`);
    say({ id, ok: true, output: await tool(input, controller.signal) });
  } catch (error) {
    say({ id, ok: false, output: describe(error) });
  } finally {
    running.delete(id);
  }
}

const plainWords: Record<string, string> = {
  ENOENT: "does not exist",
  EACCES: "may not be touched (no permission)",
  EPERM: "may not be touched (no permission)",
  EROFS: "is read-only here",
  ENOTDIR: "lies below something that is not a folder",
  EISDIR: "is a folder",
  ENOSPC: "could not be written: the disk is full",
  ELOOP: "is a loop of links",
};

/** System errors in plain words; the model acts on them. */
function describe(error: unknown): string {
  if (error instanceof ToolFailure) return error.message;
  const { code, path, message } = error as NodeJS.ErrnoException;
  const words = code ? plainWords[code] : undefined;
  return words ? `${path ?? "the path"} ${words}` : message;
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const message = JSON.parse(line) as { id?: number; tool?: string; input?: Record<string, unknown>; cancel?: number };
    if (message.cancel !== undefined) running.get(message.cancel)?.abort();
    else if (message.id !== undefined) void answer(message.id, message.tool ?? "", message.input ?? {});
  })
  .on("close", () => {
    for (const controller of running.values()) controller.abort();
    process.exit(0);
  });

say({ ready: true });
