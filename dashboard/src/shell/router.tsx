import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { Layout } from "./layout.tsx";
import { NotFound } from "./not-found.tsx";
import { PageFailure } from "./page-failure.tsx";
import { oneOf, search, text, texts } from "./search.ts";

/**
 * The address is the state: whoever gets a link sees the same. Each page is loaded when it is first visited; what its search
 * may hold is said here, and anything else falls back to nothing.
 */
const root = createRootRoute({ component: Layout, notFoundComponent: NotFound, errorComponent: PageFailure });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    // oxlint-disable-next-line typescript/only-throw-error -- it is how the router is told to go elsewhere
    throw redirect({ to: "/inbox", replace: true });
  },
});

const inbox = createRoute({
  getParentRoute: () => root,
  path: "/inbox",
  validateSearch: search({ item: text, group: oneOf("blocked", "review", "failed"), project: text }),
  component: lazyRouteComponent(() => import("../inbox/inbox-page.tsx"), "InboxPage"),
});

const fleet = createRoute({
  getParentRoute: () => root,
  path: "/fleet",
  validateSearch: search({
    lens: oneOf("tree", "table"),
    project: text,
    agent: text,
    state: text,
    open: texts,
  }),
  component: lazyRouteComponent(() => import("../fleet/fleet-page.tsx"), "FleetPage"),
});

const board = createRoute({
  getParentRoute: () => root,
  path: "/board",
  validateSearch: search({ project: text, view: oneOf("board", "list"), q: text, column: text }),
  component: lazyRouteComponent(() => import("../tasks/board-page.tsx"), "BoardPage"),
});

const task = createRoute({
  getParentRoute: () => root,
  path: "/tasks/$id",
  validateSearch: search({
    tab: oneOf("transcript", "diff", "checks", "cost", "events"),
    session: text,
    file: text,
  }),
  component: lazyRouteComponent(() => import("../tasks/task-page.tsx"), "TaskPage"),
});

const runs = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  validateSearch: search({ project: text, state: text }),
  component: lazyRouteComponent(() => import("../runs/runs-page.tsx"), "RunsPage"),
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$id",
  validateSearch: search({ step: text, view: oneOf("timeline", "table") }),
  component: lazyRouteComponent(() => import("../runs/run-page.tsx"), "RunPage"),
});

const agents = createRoute({
  getParentRoute: () => root,
  path: "/agents",
  validateSearch: search({ agent: text }),
  component: lazyRouteComponent(() => import("../agents/agents-page.tsx"), "AgentsPage"),
});

const projects = createRoute({
  getParentRoute: () => root,
  path: "/projects",
  validateSearch: search({ project: text }),
  component: lazyRouteComponent(() => import("../projects/projects-page.tsx"), "ProjectsPage"),
});

const more = createRoute({
  getParentRoute: () => root,
  path: "/more",
  component: lazyRouteComponent(() => import("../more/more-page.tsx"), "MorePage"),
});

export const router = createRouter({
  routeTree: root.addChildren([home, inbox, fleet, board, task, runs, run, agents, projects, more]),
  defaultPreload: "intent",
  scrollRestoration: true,
  // What a page shows comes from the query cache, which knows by itself when it is stale.
  defaultPreloadStaleTime: 0,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
