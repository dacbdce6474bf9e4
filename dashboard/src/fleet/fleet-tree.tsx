import { useQueries } from "@tanstack/react-query";
import { defaultStringifySearch, useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import type { Fleet } from "../../../src/fleet/fleet.ts";
import { ask } from "../api/client.ts";
import { Age } from "../parts/age.tsx";
import { Beam } from "../parts/beam.tsx";
import { Empty } from "../parts/empty.tsx";
import { Link } from "../parts/link.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { Plain } from "../parts/plain.tsx";
import { Status } from "../parts/status.tsx";
import type { Column } from "../parts/table.tsx";
import { Tokens } from "../parts/tokens.tsx";
import { TreeTable } from "../parts/tree-table.tsx";
import { atWork, countsOf, keyOfAgent, type Node, treeOf } from "./tree.ts";

const sessionsShown = 50;
const empty: string[] = [];

/** Everything, projects, agents, sessions: each line carries what is below it. */
export function FleetTree({ fleet }: { fleet: Fleet }) {
  const search = useSearch({ from: "/fleet" });
  const navigate = useNavigate({ from: "/fleet" });
  const [selected, setSelected] = useState<string | null>(null);
  const opened = search.open ?? empty;
  // A fleet that fits on a screen is shown open; a larger one is opened by hand.
  const few = fleet.projects.length <= 12;
  const expanded = useMemo(
    () => new Set(["all", ...(few && search.open === undefined ? fleet.projects.map(({ id }) => id) : []), ...opened]),
    [few, search.open, fleet.projects, opened],
  );
  const agents = fleet.projects.flatMap((project) =>
    project.agents
      .filter(({ name }) => expanded.has(keyOfAgent(project.id, name)))
      .map(({ name }) => ({ project: project.id, agent: name })),
  );
  const asked = useQueries({
    queries: agents.map(({ project, agent }) => ask("fleet.sessions", { project, agent, limit: sessionsShown })),
  });
  const sessions = new Map(
    agents.map(({ project, agent }, index) => [
      keyOfAgent(project, agent),
      { items: asked[index]?.data?.items ?? [], more: (asked[index]?.data?.next ?? null) !== null },
    ]),
  );
  const root = treeOf(fleet, sessions);
  const toggle = useCallback(
    (key: string, open: boolean): void => {
      const now = new Set(expanded);
      if (open) now.add(key);
      else now.delete(key);
      void navigate({ search: (before) => ({ ...before, open: [...now].filter((one) => one !== "all").slice(0, 100) }), replace: true });
    },
    [expanded, navigate],
  );
  const open = (key: string): void => {
    const task = /\/([^/]+)$/.exec(key)?.[1];
    if (task && sessions.get(key.slice(0, -task.length - 1))?.items.some((one) => one.task === task))
      void navigate({ to: "/tasks/$id", params: { id: task } });
    else toggle(key, !expanded.has(key));
  };
  if (fleet.projects.length === 0)
    return (
      <Empty
        kind="first"
        title="No project yet"
        text="A project is a repository whose work is given to agents."
        action={<Link href="/projects">Add a project</Link>}
        cli="tutti projects add ."
      />
    );
  return (
    <div className="fleet__main">
      <TreeTable
        label="The fleet, rolled up"
        roots={[root]}
        keyOf={({ key }) => key}
        // An agent's sessions are asked for when it is opened, so it has something below it as long as it is at work.
        childrenOf={(node) =>
          node.kind === "agent" && node.below.length === 0 && atWork(node.agent.counts) > 0 ? [loadingBelow(node.key)] : node.below
        }
        expanded={expanded}
        onToggle={toggle}
        columns={columns}
        selected={selected}
        onSelect={setSelected}
        onOpen={open}
        letters
      />
    </div>
  );
}

const loadingBelow = (key: string): Node => ({ kind: "more", key: `${key}/more`, count: -1, project: "", agent: null, below: [] });

const number = (count: number): React.ReactNode => (count === 0 ? <span className="t3">·</span> : count.toLocaleString("en"));

const columns: Column<Node>[] = [
  { key: "name", title: "Name", width: "minmax(180px, 1.2fr)", phone: "first", cell: (node) => <Name node={node} /> },
  {
    key: "state",
    title: "State, loudest first",
    width: "minmax(160px, 1fr)",
    phone: "second",
    cell: (node) => <Work node={node} />,
    // What one session is at takes the room of the numbers that it does not have.
    span: (node) => (node.kind === "session" || node.kind === "more" ? 4 : 1),
  },
  {
    key: "running",
    title: "Running",
    number: true,
    phone: "none",
    cell: (node) => number((countsOf(node)?.running ?? 0) + (countsOf(node)?.starting ?? 0)),
  },
  { key: "needs", title: "Need you", number: true, phone: "none", cell: (node) => number(countsOf(node)?.["needs you"] ?? 0) },
  { key: "failed", title: "Failed", number: true, phone: "none", cell: (node) => number(countsOf(node)?.failed ?? 0) },
  {
    key: "waiting",
    title: "Waiting",
    number: true,
    phone: "none",
    cell: (node) => {
      const at = node.kind === "session" ? node.session.since : node.kind === "project" ? node.project.oldestWaitAt : null;
      return at === null ? <span className="t3">·</span> : <Age at={at} />;
    },
  },
  {
    key: "tokens",
    title: "Tokens",
    number: true,
    phone: "end",
    cell: (node) => {
      const tokens = {
        all: () => (node.kind === "all" ? node.fleet.today.tokens : 0),
        project: () => (node.kind === "project" ? node.project.tokens : 0),
        agent: () => (node.kind === "agent" ? node.agent.tokens : 0),
        session: () => (node.kind === "session" ? node.session.tokens : 0),
        more: () => null,
      }[node.kind]();
      return tokens === null ? null : <Tokens n={tokens} short />;
    },
  },
];

function Name({ node }: { node: Node }) {
  switch (node.kind) {
    case "all":
      return (
        <>
          <b>Everything</b>{" "}
          <span className="t3">
            {node.fleet.projects.length} {node.fleet.projects.length === 1 ? "project" : "projects"}
          </span>
        </>
      );
    case "project":
      return (
        <>
          <b>
            <Plain text={node.project.name} />
          </b>{" "}
          <span className="t3">
            {node.project.agentCount} {node.project.agentCount === 1 ? "agent" : "agents"}
          </span>
        </>
      );
    case "agent":
      return (
        <span className="flex">
          <Monogram name={node.agent.name} kind="agent" /> <Plain text={node.agent.name} />
        </span>
      );
    case "session":
      return <Link href={`/tasks/${node.session.task}`}>{node.session.task}</Link>;
    case "more":
      return node.count < 0 ? <span className="t3">loading</span> : <MoreLink node={node} />;
  }
}

function MoreLink({ node }: { node: Extract<Node, { kind: "more" }> }) {
  const to = `/fleet${defaultStringifySearch({ lens: "table", project: node.project, agent: node.agent ?? undefined })}`;
  return <Link href={to}>{node.count > 0 ? `${node.count} more agents` : "all of them"}</Link>;
}

function Work({ node }: { node: Node }) {
  const counts = countsOf(node);
  if (counts) return <Beam counts={counts} />;
  if (node.kind !== "session") return null;
  const { state, reason, title, lastActivity } = node.session;
  return (
    <span className="flex clip">
      <Status state={state} reason={reason} />
      <span className="clip t2">
        <Plain text={lastActivity ?? title} />
      </span>
    </span>
  );
}
