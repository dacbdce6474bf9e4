import { Plus } from "lucide-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useDeferredValue, useState } from "react";
import type { State } from "../../../src/tasks/task.ts";
import { call, useAct } from "../api/act.ts";
import { type AnswerOf, ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Header } from "../parts/header.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { usePhone } from "../parts/phone.ts";
import { Segments } from "../parts/segments.tsx";
import { Select } from "../parts/select.tsx";
import { Status } from "../parts/status.tsx";
import { TextField } from "../parts/text-field.tsx";
import { Toolbar } from "../parts/toolbar.tsx";
import { useKeys } from "../shell/keys.ts";
import "./board.css";
import { AddTasks } from "./board-add.tsx";
import { BoardCard } from "./board-card.tsx";
import { BoardList } from "./board-list.tsx";
import { possible } from "./task-actions.ts";

type Board = AnswerOf<"task.board">;
export type Card = Board["columns"][number]["items"][number];

/** What work there is, and where it stands. */
export function BoardPage() {
  const search = useSearch({ from: "/board" });
  const navigate = useNavigate({ from: "/board" });
  const phone = usePhone();
  const projects = useQuery(ask("project.list", { limit: 200 }));
  const { data, error, refetch } = useQuery(ask("task.board", { project: search.project, limitPerColumn: 30 }));
  const [adding, setAdding] = useState(false);
  const view = search.view ?? (search.q ? "list" : "board");
  const put = (change: Partial<typeof search>): void => void navigate({ search: (now) => ({ ...now, ...change }), replace: true });
  useKeys([
    { keys: "c", label: "create", run: () => setAdding(true) },
    { keys: "v", label: view === "board" ? "as a list" : "as a board", run: () => put({ view: view === "board" ? "list" : "board" }) },
  ]);
  const all = projects.data?.items ?? [];
  return (
    <div className="page">
      <Header
        title="Board"
        beside={
          <Segments
            label="View"
            value={view}
            onChange={(to) => put({ view: to })}
            segments={[
              { value: "board", title: "Board" },
              { value: "list", title: "List" },
            ]}
          />
        }
        actions={
          <Button
            kind="primary"
            icon={Plus}
            keys="c"
            disabledReason={all.length === 0 ? "there is no project yet" : undefined}
            onClick={() => setAdding(true)}
          >
            Add tasks
          </Button>
        }
      />
      <Toolbar label="Filter">
        <Select
          label="Project"
          labelHidden
          value={search.project ?? ""}
          onChange={(project) => put({ project: project === "" ? undefined : project })}
          options={[{ value: "", label: "All projects" }, ...all.map(({ id, name }) => ({ value: id, label: name }))]}
        />
        {view === "list" && (
          <TextField
            label="Find by title"
            labelHidden
            placeholder="Title contains"
            value={search.q ?? ""}
            onChange={(q) => put({ q: q === "" ? undefined : q })}
          />
        )}
      </Toolbar>
      {error && !data ? (
        <Failure error={problemOf(error)} retry={() => void refetch()} />
      ) : !data ? (
        <Loading label="Loading the board" lines={6} />
      ) : data.columns.every(({ count }) => count === 0) && view === "board" ? (
        <Nothing
          hasProject={all.length > 0}
          filtered={search.project !== undefined}
          onAdd={() => setAdding(true)}
          onAll={() => put({ project: undefined })}
        />
      ) : view === "list" ? (
        <BoardList project={search.project} q={search.q} state={search.column} onState={(column) => put({ column })} />
      ) : (
        <Columns
          board={data}
          phone={phone}
          column={search.column}
          onColumn={(column) => put({ column })}
          onAll={(state) => put({ view: "list", column: state })}
        />
      )}
      {adding && <AddTasks projects={all} project={search.project} onClose={() => setAdding(false)} />}
    </div>
  );
}

function Nothing({ hasProject, filtered, onAdd, onAll }: { hasProject: boolean; filtered: boolean; onAdd: () => void; onAll: () => void }) {
  if (filtered)
    return <Empty kind="filtered" title="This project has no tasks" action={<Button onClick={onAll}>Show all projects</Button>} />;
  if (!hasProject)
    return (
      <Empty
        kind="first"
        title="No work yet"
        text="Work belongs to a project: a repository on this machine."
        action={<Link href="/projects">Add a project</Link>}
        cli="tutti projects add ."
      />
    );
  return (
    <Empty
      kind="first"
      title="No work yet"
      text="Write a line for each task; an agent that fits takes it."
      action={<Button onClick={onAdd}>Add tasks</Button>}
      cli='tutti run "fix the failing test"'
    />
  );
}

/** So many cards of a column are drawn with the page; the others, which are out of sight, right after it. */
const drawnAtOnce = 8;

interface ColumnsProps {
  board: Board;
  phone: boolean;
  column: string | undefined;
  onColumn: (state: string) => void;
  onAll: (state: State) => void;
}

function Columns({ board, phone, column, onColumn, onAll }: ColumnsProps) {
  const navigate = useNavigate();
  const [at, setAt] = useState<string | null>(null);
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const [stopping, setStopping] = useState(false);
  const { act } = useAct();
  const drawn = useDeferredValue(Infinity, drawnAtOnce);
  const filled = board.columns.filter(({ count }) => count > 0);
  const shown = phone
    ? [board.columns.find(({ state }) => state === column) ?? filled[0] ?? board.columns[0]].filter((one) => one !== undefined)
    : board.columns;
  const cards = shown.flatMap(({ items }) => items);
  const selected = cards.find(({ id }) => id === at) ?? null;
  const chosen = marked.size > 0 ? cards.filter(({ id }) => marked.has(id)) : selected ? [selected] : [];
  const focus = (id: string | undefined): void => {
    if (id === undefined) return;
    setAt(id);
    document.getElementById(`card-${id}`)?.focus();
  };
  const move = (columns: number, rows: number): void => {
    const from = Math.max(
      0,
      shown.findIndex(({ items }) => items.some(({ id }) => id === at)),
    );
    const row = Math.max(0, shown[from]?.items.findIndex(({ id }) => id === at) ?? 0);
    if (selected === null) return focus(cards[0]?.id);
    if (columns === 0) return focus(shown[from]?.items[row + rows]?.id);
    for (let next = from + columns; next >= 0 && next < shown.length; next += columns) {
      const { items = [] } = shown[next] ?? {};
      if (items.length > 0) return focus(items[Math.min(row, items.length - 1)]?.id);
    }
  };
  const each = (name: "task.stop" | "task.retry", able: (card: Card) => boolean): void =>
    act(
      async () => {
        for (const card of chosen.filter(able)) await call(name, { id: card.id });
      },
      () => setMarked(new Set()),
    );
  const stoppable = chosen.filter((card) => possible({ ...card, result: null }).stop === null);
  useKeys([
    { keys: "h", label: "column", run: () => move(-1, 0) },
    { keys: "l", label: "column", quiet: true, run: () => move(1, 0) },
    { keys: "j", label: "card", run: () => move(0, 1) },
    { keys: "k", label: "card", quiet: true, run: () => move(0, -1) },
    ...(selected
      ? [
          { keys: "Enter", label: "open", run: () => void navigate({ to: "/tasks/$id", params: { id: selected.id } }) },
          {
            keys: "x",
            label: "select",
            run: () =>
              setMarked((now) => new Set(now.has(selected.id) ? [...now].filter((id) => id !== selected.id) : [...now, selected.id])),
          },
          { keys: "S", label: "stop", run: () => stoppable.length > 0 && setStopping(true) },
          { keys: "R", label: "retry", run: () => each("task.retry", (card) => possible({ ...card, result: null }).retry === null) },
        ]
      : []),
  ]);
  return (
    <>
      {phone && (
        <Segments
          label="Column"
          small
          value={shown[0]?.state ?? "queued"}
          onChange={onColumn}
          segments={(filled.length > 0 ? filled : board.columns).map(({ state, count }) => ({ value: state, title: state, count }))}
        />
      )}
      <div className="board">
        {shown.map(({ state, count, items }) => (
          <section key={state} className="board__column" aria-label={`${state}, ${count}`}>
            <h2 className="board__head">
              <Status state={state} /> <span className="num t3">{count.toLocaleString("en")}</span>
            </h2>
            <div className="board__cards" tabIndex={items.length === 0 ? -1 : 0} role="group" aria-label={`Tasks: ${state}`}>
              {items.slice(0, drawn).map((card) => (
                <BoardCard key={card.id} card={card} isSelected={card.id === at} isMarked={marked.has(card.id)} onSelect={setAt} />
              ))}
              {count > items.length && (
                <Button kind="quiet" onClick={() => onAll(state)}>
                  All {count.toLocaleString("en")}
                </Button>
              )}
            </div>
          </section>
        ))}
      </div>
      <Dialog
        open={stopping}
        onClose={() => setStopping(false)}
        title={`Stop ${stoppable.length === 1 ? (stoppable[0]?.id ?? "") : `${stoppable.length} tasks`}?`}
        actions={
          <>
            <Button onClick={() => setStopping(false)}>Go on</Button>
            <Button
              kind="danger"
              onClick={() => {
                setStopping(false);
                each("task.stop", (card) => stoppable.includes(card));
              }}
            >
              Stop
            </Button>
          </>
        }
      >
        <p>Their processes are ended. What they have changed so far is kept.</p>
      </Dialog>
    </>
  );
}
