import { readFileSync } from "node:fs";

/** A process as /proc knows it: a number alone may be somebody else's by now. */
export interface Seen {
  pid: number;
  /** When it began, in ticks since the machine started. */
  began: string;
  command: string;
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // It has ended meanwhile.
  }
}

function look(pid: number): Seen | null {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, began] = [fields[0], fields[19]];
  if (began === undefined || state === "Z" || state === "X") return null;
  return { pid, began, command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim() };
}

/** All that it has started and that its children have, as long as they live. */
export function descendants(pid: number): Seen[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => {
    const seen = look(child);
    return seen ? [seen, ...descendants(child)] : [];
  });
}

export const isAlive = (seen: Seen): boolean => look(seen.pid)?.began === seen.began;

/** The value of a variable in the environment with which it was started. */
export const variableOf = (pid: number, name: string): string | null =>
  read(`/proc/${pid}/environ`)
    .split("\0")
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1) ?? null;
