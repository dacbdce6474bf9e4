import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { State, states } from "../../../src/tasks/task.ts";
import { type AnswerOf, ask, pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Age } from "../parts/age.tsx";
import { Beam } from "../parts/beam.tsx";
import { Button } from "../parts/button.tsx";
import { Duration, Elapsed } from "../parts/duration.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Header } from "../parts/header.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { Plain } from "../parts/plain.tsx";
import { Select } from "../parts/select.tsx";
import { Status } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tokens } from "../parts/tokens.tsx";
import { Toolbar } from "../parts/toolbar.tsx";

type Run = AnswerOf<"run.list">["items"][number];

const columns: Column<Run>[] = [
  {
    key: "state",
    title: "State",
    width: "minmax(150px, 0.9fr)",
    phone: "second",
    cell: ({ state, reason }) => <Status state={state} reason={reason} />,
  },
  {
    key: "flow",
    title: "Run",
    width: "minmax(150px, 1.2fr)",
    phone: "first",
    cell: ({ id, flow }) => (
      <span className="flex clip">
        <Link href={`/runs/${id}`}>{id}</Link> <Plain text={flow} />
      </span>
    ),
  },
  {
    key: "project",
    title: "Project",
    width: "minmax(90px, 0.8fr)",
    phone: "none",
    cell: ({ projectName }) => <Plain text={projectName} />,
  },
  {
    key: "steps",
    title: "Steps",
    width: "minmax(110px, 1fr)",
    phone: "none",
    cell: ({ counts, flow }) => <Beam counts={counts} label={flow} />,
  },
  {
    key: "what",
    title: "First failure",
    width: "minmax(140px, 1.6fr)",
    phone: "none",
    cell: ({ firstFailure, message }) => (
      <span className="clip t2">
        <Plain text={firstFailure ? `${firstFailure.step}: ${firstFailure.message ?? firstFailure.reason ?? "failed"}` : (message ?? "")} />
      </span>
    ),
  },
  { key: "tokens", title: "Tokens", number: true, phone: "none", cell: ({ tokens }) => <Tokens n={tokens} short /> },
  {
    key: "took",
    title: "Took",
    number: true,
    phone: "none",
    cell: ({ createdAt, finishedAt }) => (finishedAt === null ? <Elapsed since={createdAt} /> : <Duration ms={finishedAt - createdAt} />),
  },
  { key: "at", title: "Started", number: true, phone: "end", cell: ({ createdAt }) => <Age at={createdAt} /> },
];

/** Every execution of a flow, the newest first. */
export function RunsPage() {
  const search = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const [selected, setSelected] = useState<string | null>(null);
  const state = State.safeParse(search.state).data;
  const projects = useQuery(ask("project.list", { limit: 200 }));
  const query = useInfiniteQuery(pages("run.list", { limit: 100, project: search.project, ...(state ? { state: [state] } : {}) }));
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  const put = (name: "project" | "state", value: string): void =>
    void navigate({ search: (now) => ({ ...now, [name]: value === "" ? undefined : value }), replace: true });
  const filtered = search.project !== undefined || state !== undefined;
  return (
    <div className="page">
      <Header title="Runs" />
      <Toolbar label="Filter">
        <Select
          label="Project"
          labelHidden
          value={search.project ?? ""}
          onChange={(value) => put("project", value)}
          options={[
            { value: "", label: "All projects" },
            ...(projects.data?.items ?? []).map(({ id, name }) => ({ value: id, label: name })),
          ]}
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
        <Loading label="Loading the runs" lines={6} />
      ) : (
        <Table
          label="Runs"
          rows={items}
          keyOf={({ id }) => id}
          columns={columns}
          selected={selected}
          onSelect={setSelected}
          onOpen={(id) => void navigate({ to: "/runs/$id", params: { id } })}
          letters
          empty={
            filtered ? (
              <Empty
                kind="filtered"
                title="No run is like that"
                action={<Button onClick={() => void navigate({ search: {} })}>Show all</Button>}
              />
            ) : (
              <Empty
                kind="first"
                title="No run yet"
                text="A run is one execution of a flow: agents, checks, questions and merges, in an order that is written down."
                cli="tutti flow run examples/fix-bugs"
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
