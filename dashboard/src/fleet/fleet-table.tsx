import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { Fleet, FleetSession } from "../../../src/fleet/fleet.ts";
import { State, states } from "../../../src/tasks/task.ts";
import { pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Age } from "../parts/age.tsx";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { Plain } from "../parts/plain.tsx";
import { Select } from "../parts/select.tsx";
import { Status } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tag } from "../parts/tag.tsx";
import { Tokens } from "../parts/tokens.tsx";
import { Toolbar } from "../parts/toolbar.tsx";

const columns: Column<FleetSession>[] = [
  {
    key: "state",
    title: "State",
    width: "minmax(176px, 0.8fr)",
    phone: "second",
    cell: ({ state, reason }) => <Status state={state} reason={reason} />,
  },
  {
    key: "title",
    title: "Task",
    width: "minmax(160px, 2fr)",
    phone: "first",
    cell: ({ task, title, demo }) => (
      <span className="flex clip">
        <Link href={`/tasks/${task}`}>{task}</Link>
        <span className="clip">
          <Plain text={title} />
        </span>
        {demo && <Tag>demo</Tag>}
      </span>
    ),
  },
  {
    key: "agent",
    title: "Agent",
    width: "minmax(110px, 0.8fr)",
    phone: "second",
    cell: ({ agent }) =>
      agent === null ? (
        <span className="t3">none yet</span>
      ) : (
        <span className="flex clip">
          <Monogram name={agent} kind="agent" /> <Plain text={agent} />
        </span>
      ),
  },
  {
    key: "project",
    title: "Project",
    width: "minmax(90px, 0.7fr)",
    phone: "none",
    cell: ({ projectName }) => <Plain text={projectName} />,
  },
  {
    key: "last",
    title: "Last activity",
    width: "minmax(140px, 1.6fr)",
    phone: "none",
    cell: ({ lastActivity, message }) => (
      <span className="clip t2">
        <Plain text={message ?? lastActivity ?? ""} />
      </span>
    ),
  },
  { key: "tokens", title: "Tokens", number: true, phone: "none", cell: ({ tokens }) => <Tokens n={tokens} short /> },
  { key: "since", title: "Since", number: true, phone: "end", cell: ({ since }) => <Age at={since} /> },
];

/** Every piece of work that is under way, in the order of attention. */
export function FleetTable({ fleet }: { fleet: Fleet }) {
  const search = useSearch({ from: "/fleet" });
  const navigate = useNavigate({ from: "/fleet" });
  const [selected, setSelected] = useState<string | null>(null);
  const state = State.safeParse(search.state).data;
  const query = useInfiniteQuery(pages("fleet.sessions", { limit: 200, project: search.project, agent: search.agent, state }));
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  const put = (name: "project" | "agent" | "state", value: string): void =>
    void navigate({ search: (now) => ({ ...now, [name]: value === "" ? undefined : value }), replace: true });
  const agents = [...new Set(fleet.projects.flatMap((project) => project.agents.map(({ name }) => name)))].toSorted();
  const filtered = search.project !== undefined || search.agent !== undefined || state !== undefined;
  return (
    <div className="fleet__main">
      <Toolbar label="Filter">
        <Select
          label="Project"
          labelHidden
          value={search.project ?? ""}
          onChange={(value) => put("project", value)}
          options={[{ value: "", label: "All projects" }, ...fleet.projects.map(({ id, name }) => ({ value: id, label: name }))]}
        />
        <Select
          label="Agent"
          labelHidden
          value={search.agent ?? ""}
          onChange={(value) => put("agent", value)}
          options={[{ value: "", label: "All agents" }, ...agents.map((name) => ({ value: name, label: name }))]}
        />
        <Select
          label="State"
          labelHidden
          value={state ?? ""}
          onChange={(value) => put("state", value)}
          options={[{ value: "", label: "All states" }, ...states.map((one) => ({ value: one as string, label: one }))]}
        />
      </Toolbar>
      {query.error && items.length === 0 ? (
        <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <Loading lines={6} />
      ) : (
        <Table
          label="Work under way"
          rows={items}
          keyOf={({ task }) => task}
          columns={columns}
          selected={selected}
          onSelect={setSelected}
          onOpen={(id) => void navigate({ to: "/tasks/$id", params: { id } })}
          letters
          empty={
            filtered ? (
              <Empty
                kind="filtered"
                title="Nothing like that is under way"
                action={<Button onClick={() => void navigate({ search: { lens: "table" } })}>Show all</Button>}
              />
            ) : (
              <Empty
                kind="clear"
                title="Nothing is under way"
                text="Queued and running work stands here."
                action={<Link href="/board">To the board</Link>}
                cli='tutti run "fix the failing test"'
              />
            )
          }
          end={
            query.hasNextPage ? (
              <Button kind="quiet" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Load more
              </Button>
            ) : undefined
          }
        />
      )}
    </div>
  );
}
