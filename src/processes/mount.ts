import { statSync } from "node:fs";
import { invalidInput } from "../errors.ts";
import type { HiddenPlaces } from "./hide.ts";
import { follow, isWithin, type Link } from "./paths.ts";
import type { SandboxPolicy } from "./process.ts";

/**
 * How one place of the file system looks inside. empty: nothing, read-only; scratch: nothing, private and writable; blank: a file
 * that reads as nothing; read and write: what the machine has there.
 */
type View = "empty" | "scratch" | "blank" | "read" | "write";

interface Place {
  path: string;
  view: View;
}

/** What is mounted over the read-only machine, parents before what lies below them. */
export interface MountPlan {
  places: Place[];
  /** Links that lay in a place which is now empty, made again so that the paths a caller knows still lead to what is shown. */
  links: Link[];
}

/**
 * Turns a policy into mounts. Every path is followed by hand: a link inside $TUTTI_HOME or a writable folder is refused, because an
 * agent may have made it. Reads the file system, changes nothing.
 * Errors: `invalid_input` for a path that is missing (writable), widened by a link, or would show a home or $TUTTI_HOME whole.
 * `programs` are folders found by `programFolders`: read-only, and dropped where the policy already says something.
 */
export function planMounts(policy: SandboxPolicy, programs: readonly string[], hidden: HiddenPlaces): MountPlan {
  const links: Link[] = [];
  const tuttiHome = follow(policy.tuttiHome)?.real ?? null;
  const closed = [tuttiHome, ...policy.hidden.map((path) => follow(path)?.real ?? null)].filter((path) => path !== null);
  const guarded = guardedPlaces(policy);

  const show = (path: string, view: View): Place[] => {
    const found = follow(path);
    if (!found) {
      if (view === "write") throw invalidInput(`the sandbox cannot make ${path} writable`, "the folder does not exist");
      return [];
    }
    refuseLinks(path, found.links, guarded);
    refuseWhole(path, found.real, hidden.homes, closed);
    links.push(...found.links);
    return [{ path: found.real, view }];
  };

  const asked = [...policy.readable.flatMap((path) => show(path, "read")), ...policy.writable.flatMap((path) => show(path, "write"))];
  const extra = programs.flatMap((path) => {
    const found = follow(path);
    // What a policy hides is never opened for a program's sake, and what it shows needs no second mount.
    if (!found || closed.some((place) => isWithin(found.real, place)) || asked.some((place) => isWithin(found.real, place.path))) return [];
    links.push(...found.links);
    return [{ path: found.real, view: "read" as const }];
  });

  const hide = (paths: readonly string[]): Place[] => paths.map((path) => ({ path, view: isFolder(path) ? "empty" : "blank" }));
  const places = tidy([
    ...hide([...hidden.homes, ...hidden.empty, ...closed]),
    ...hidden.scratch.map((path) => ({ path, view: "scratch" as const })),
    ...hidden.kept.map((path) => ({ path, view: "read" as const })),
    ...extra,
    ...asked,
  ]);
  return { places, links: lostLinks(links, places) };
}

/** Places in which a link may have been made by an agent. */
function guardedPlaces(policy: SandboxPolicy): string[] {
  // Of a writable folder that is itself a link, both ends count: where it lies is checked through $TUTTI_HOME.
  return [policy.tuttiHome, ...policy.writable].map((path) => follow(path)?.real).filter((path) => path !== undefined);
}

function refuseLinks(path: string, links: readonly Link[], guarded: readonly string[]): void {
  const planted = links.find((link) => guarded.some((place) => isWithin(link.at, place)));
  if (!planted) return;
  throw invalidInput(
    `the sandbox does not follow the symbolic link ${planted.at}`,
    `${path} leads through it to ${planted.to}, and it lies where an agent can write: what a sandbox shows must not depend on it`,
    [`remove the link: rm ${planted.at}`],
  );
}

function refuseWhole(path: string, real: string, homes: readonly string[], closed: readonly string[]): void {
  if (real !== "/" && !homes.some((home) => isWithin(home, real)) && !closed.includes(real)) return;
  throw invalidInput(`the sandbox does not show ${path} whole`, `${real} is, or holds, a home or another place that is always hidden`);
}

/** Sorted, parents first; at the same path what was asked for last wins; a place that looks as its surroundings do is left out. */
function tidy(places: readonly Place[]): Place[] {
  const byPath = new Map(places.map((place) => [place.path, place]));
  const kept: Place[] = [];
  for (const place of [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const around = surroundings(place.path, kept)?.view ?? "read";
    const isHidden = place.view === "empty" || place.view === "blank";
    // An emptied folder in a private writable one stays a place of its own, so that nothing can be made where it stood.
    if (around === place.view || (isHidden && around === "empty") || (place.view === "blank" && around === "scratch")) continue;
    kept.push(place);
  }
  return kept;
}

/** The innermost place that `path` lies in. */
function surroundings(path: string, places: readonly Place[]): Place | undefined {
  return places
    .filter((place) => isWithin(path, place.path))
    .reduce<Place | undefined>((inner, place) => (!inner || place.path.length > inner.path.length ? place : inner), undefined);
}

function lostLinks(links: readonly Link[], places: readonly Place[]): Link[] {
  const lost = links.filter((link) => ["empty", "scratch"].includes(surroundings(link.at, places)?.view ?? "read"));
  return [...new Map(lost.map((link) => [link.at, link])).values()];
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
