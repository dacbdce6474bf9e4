import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { State, states } from "../../../src/tasks/task.ts";
import { type AnswerOf, pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Age } from "../parts/age.tsx";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { Plain } from "../parts/plain.tsx";
import { Select } from "../parts/select.tsx";
import { Status } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Toolbar } from "../parts/toolbar.tsx";

type Task = AnswerOf<"task.list">["items"][number];

const columns: Column<Task>[] = [
  {
    key: "state",
    title: "State",
    width: "minmax(140px, 0.8fr)",
    phone: "second",
    cell: ({ state, reason, verified }) => <Status state={state} reason={reason} verified={verified} />,
  },
  {
    key: "title",
    title: "Task",
    width: "minmax(160px, 2.4fr)",
    phone: "first",
    cell: ({ id, title }) => (
      <span className="flex clip">
        <Link href={`/tasks/${id}`}>{id}</Link>
        <span className="clip">
          <Plain text={title} />
        </span>
      </span>
    ),
  },
  { key: "agent", title: "Agent", width: "minmax(80px, 0.7fr)", phone: "none", cell: ({ agent }) => <Plain text={agent ?? ""} /> },
  { key: "project", title: "Project", width: "minmax(80px, 0.7fr)", phone: "none", cell: ({ project }) => <Plain text={project} /> },
  { key: "at", title: "Changed", number: true, phone: "end", cell: ({ updatedAt }) => <Age at={updatedAt} /> },
];

/** All tasks, page by page, the newest first. */
export function BoardList({
  project,
  q,
  state: wanted,
  onState,
}: {
  project?: string;
  q?: string;
  state?: string;
  onState: (state: string | undefined) => void;
}) {
  const navigate = useNavigate();
  const [selected, setSelected] = useState<string | null>(null);
  const state = State.safeParse(wanted).data;
  const query = useInfiniteQuery(pages("task.list", { limit: 100, project, q, ...(state ? { state: [state] } : {}) }));
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <Toolbar label="State">
        <Select
          label="State"
          labelHidden
          value={state ?? ""}
          onChange={(value) => onState(value === "" ? undefined : value)}
          options={[{ value: "", label: "All states" }, ...states.map((one) => ({ value: one as string, label: one }))]}
        />
      </Toolbar>
      {query.error && items.length === 0 ? (
        <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <Loading label="Loading the tasks" lines={6} />
      ) : (
        <Table
          label="Tasks"
          rows={items}
          keyOf={({ id }) => id}
          columns={columns}
          selected={selected}
          onSelect={setSelected}
          onOpen={(id) => void navigate({ to: "/tasks/$id", params: { id } })}
          letters
          empty={<Empty kind="filtered" title="No task is like that" text="Another filter may have some." />}
          end={
            query.hasNextPage ? (
              <Button kind="quiet" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Load more
              </Button>
            ) : undefined
          }
        />
      )}
    </>
  );
}
