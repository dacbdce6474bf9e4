import { defaultStringifySearch } from "@tanstack/react-router";

/** A screen of one project only. Written as the router reads it: the id "2048" is a text, too. Pure. */
export const projectHref = (path: "/board" | "/runs" | "/fleet" | "/inbox", project: string): string =>
  path + defaultStringifySearch(path === "/fleet" ? { lens: "table", project } : { project });
