import { useState } from "react";
import { Age } from "../age.tsx";
import { Beam } from "../beam.tsx";
import { Empty } from "../empty.tsx";
import { Money } from "../money.tsx";
import { Panel } from "../panel.tsx";
import { type AnyState } from "../state-look.ts";
import { Status } from "../status.tsx";
import { type Column, type Sort, Table } from "../table.tsx";
import { TreeTable } from "../tree-table.tsx";
import { idOf, many } from "./lists.tsx";
import { storefront } from "./marks.tsx";
import { Part } from "./part.tsx";

interface Team {
  id: string;
  note?: string;
  counts: { readonly [state in AnyState]?: number };
  agents: number;
  cost: number;
  teams?: Team[];
  live?: { state: AnyState; text: string };
}

const teams: Team[] = [
  {
    id: "halden", note: "6 projects, 11 swarms", counts: { "needs you": 12, failed: 12, running: 618, starting: 22, queued: 143, paused: 38, done: 144, cancelled: 11 }, agents: 1_000, cost: 212.4,
    teams: [
      {
        id: "storefront", note: "3 swarms", counts: storefront, agents: 289, cost: 78.4,
        teams: [
          { id: "fixer-01", counts: {}, agents: 1, cost: 4.1, live: { state: "running", text: "lead: handing 3 parts of R-2214 to workers" } },
          { id: "fixer-12", counts: {}, agents: 1, cost: 1.12, live: { state: "needs you", text: "shell command on the staging database" } },
        ],
      },
      { id: "docs", note: "1 swarm", counts: { failed: 10, running: 60, starting: 2, queued: 20, paused: 4, done: 24 }, agents: 120, cost: 11.2, teams: [{ id: "writer-14", counts: { running: 1 }, agents: 1, cost: 0 }] },
    ],
  },
]; // prettier-ignore

const teamColumns: Column<Team>[] = [
  {
    key: "name",
    title: "Name",
    width: "minmax(160px, 1.4fr)",
    cell: (row) => (
      <>
        <span className="clip">{row.id}</span> <span className="t3 clip">{row.note}</span>
      </>
    ),
  },
  {
    key: "agents",
    title: "agents",
    number: true,
    width: "62px",
    phone: "end",
    cell: (row) => (row.live === undefined ? row.agents.toLocaleString("en") : <Status state={row.live.state} reason={row.live.text} />),
    span: (row) => (row.live === undefined ? 1 : 4),
  },
  { key: "beam", title: "state, loudest first", width: "minmax(120px, 1fr)", cell: (row) => <Beam counts={row.counts} label={row.id} /> },
  { key: "running", title: "running", number: true, width: "62px", phone: "none", cell: (row) => row.counts.running ?? "·" },
  {
    key: "needs",
    title: "need you",
    number: true,
    width: "62px",
    phone: "none",
    cell: (row) => <span className={row.counts["needs you"] === undefined ? "t3" : "c-need"}>{row.counts["needs you"] ?? "·"}</span>,
  },
  { key: "today", title: "today", number: true, width: "72px", phone: "second", cell: (row) => <Money usd={row.cost} /> },
];

const taskColumns: Column<(typeof many)[number]>[] = [
  { key: "id", title: "task", cell: idOf, sort: true },
  { key: "state", title: "state", cell: (row) => <Status state={row.state} /> },
  { key: "age", title: "age", number: true, sort: true, cell: (row) => <Age at={row.at} /> },
  { key: "cost", title: "today", number: true, sort: true, phone: "end", cell: (row) => <Money usd={row.cost} /> },
];

/** A tree, a plain table, a long one. */
export function Tables() {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set(["halden", "storefront"]));
  const [selected, select] = useState<string | null>("storefront");
  const [sort, setSort] = useState<Sort>({ key: "age", down: false });
  const sorted = many.toSorted(
    (a, b) => (sort.down ? -1 : 1) * (sort.key === "id" ? a.id.localeCompare(b.id) : sort.key === "cost" ? a.cost - b.cost : b.at - a.at),
  );
  return (
    <>
      <Part title="Tree" text="Right opens, left closes. Each parent shows its beam." wide>
        <Panel flush>
          <TreeTable
            label="Fleet"
            roots={teams}
            keyOf={idOf}
            childrenOf={(row) => row.teams}
            expanded={open}
            onToggle={(key, on) => setOpen(new Set(on ? [...open, key] : [...open].filter((each) => each !== key)))}
            columns={teamColumns}
            selected={selected}
            onSelect={select}
          />
        </Panel>
      </Part>
      <Part title="Table" text="Numbers right, mono. A table without selection is a plain table.">
        <Panel flush>
          <Table label="Tasks of today" rows={many.slice(0, 4)} keyOf={idOf} columns={taskColumns} />
        </Panel>
        <Panel flush>
          <Table
            label="Nothing here"
            rows={[]}
            keyOf={idOf}
            columns={taskColumns}
            empty={<Empty kind="filtered" title="Nothing matches" />}
          />
        </Panel>
      </Part>
      <Part title="Long table" text="1,000 rows, sorted, selected, drawn in windows.">
        <div className="gallery__frame gallery__frame--low">
          <Table
            label="All tasks"
            rows={sorted}
            keyOf={idOf}
            columns={taskColumns}
            sort={sort}
            onSort={setSort}
            selected={selected}
            onSelect={select}
            letters
          />
        </div>
      </Part>
    </>
  );
}
