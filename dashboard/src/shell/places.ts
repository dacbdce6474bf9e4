import { Bot, Ellipsis, FolderGit2, Inbox, Kanban, LayoutGrid, ListTree } from "lucide-react";
import type { IconShape } from "../parts/icon.tsx";

export interface Place {
  href: string;
  label: string;
  icon: IconShape;
  keys: string;
}

const inbox: Place = { href: "/inbox", label: "Inbox", icon: Inbox, keys: "g i" };
const fleet: Place = { href: "/fleet", label: "Fleet", icon: LayoutGrid, keys: "g f" };
const board: Place = { href: "/board", label: "Board", icon: Kanban, keys: "g b" };
const runs: Place = { href: "/runs", label: "Runs", icon: ListTree, keys: "g r" };
const agents: Place = { href: "/agents", label: "Agents", icon: Bot, keys: "g o" };
const projects: Place = { href: "/projects", label: "Projects", icon: FolderGit2, keys: "g p" };

/** Every screen, as the rail groups them. */
export const groups = [
  { title: "Now", places: [inbox, fleet] },
  { title: "Work", places: [board, runs] },
  { title: "Run it", places: [agents, projects] },
] as const;

const more: Place = { href: "/more", label: "More", icon: Ellipsis, keys: "g m" };

/** At most five reach a thumb; the last leads to the others. */
export const onPhone = [inbox, fleet, board, runs, more] as const;

export const beyondThumb = [agents, projects] as const;

export const places: readonly Place[] = groups.flatMap((group): readonly Place[] => group.places);

/** Where an address belongs: a task is work on the board, a run is one of the runs. */
export const placeOf = (path: string): Place =>
  [...places, more].find(({ href }) => path === href || path.startsWith(`${href}/`)) ?? (path.startsWith("/tasks/") ? board : inbox);
