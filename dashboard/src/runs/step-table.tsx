import { Duration, Elapsed } from "../parts/duration.tsx";
import { Plain } from "../parts/plain.tsx";
import { Status } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tokens } from "../parts/tokens.tsx";
import { StepName } from "./step-name.tsx";
import type { StepRow } from "./step-rows.ts";

const columns: Column<StepRow>[] = [
  {
    key: "step",
    title: "Step",
    width: "minmax(140px, 1.4fr)",
    phone: "first",
    cell: (row) => (
      <span className="flex clip">
        <StepName row={row} />
      </span>
    ),
  },
  {
    key: "state",
    title: "State",
    width: "minmax(130px, 1fr)",
    phone: "second",
    cell: ({ step }) => <Status state={step.state} reason={step.reason} verified={step.verified} />,
  },
  {
    key: "message",
    title: "Message",
    width: "minmax(100px, 1.6fr)",
    phone: "none",
    cell: ({ step }) => (
      <span className="clip t2">
        <Plain text={step.message ?? ""} />
      </span>
    ),
  },
  {
    key: "queued",
    title: "Queued",
    number: true,
    phone: "none",
    cell: ({ step }) => <Between from={step.queuedAt} to={step.startedAt ?? step.finishedAt} />,
  },
  { key: "ran", title: "Ran", number: true, phone: "end", cell: ({ step }) => <Between from={step.startedAt} to={step.finishedAt} /> },
  {
    key: "person",
    title: "For a person",
    number: true,
    width: "96px",
    phone: "none",
    cell: ({ step }) => (step.waitedForPersonMs > 0 ? <Duration ms={step.waitedForPersonMs} /> : null),
  },
  { key: "tokens", title: "Tokens", number: true, phone: "none", cell: ({ step }) => <Tokens n={step.tokens} short /> },
];

/** The same as the timeline, as a table. */
export function StepTable({
  rows,
  selected,
  onSelect,
}: {
  rows: readonly StepRow[];
  selected: string | null;
  onSelect: (step: string) => void;
}) {
  return (
    <Table label="Steps" rows={rows} keyOf={({ step }) => step.id} columns={columns} selected={selected} onSelect={onSelect} letters />
  );
}

function Between({ from, to }: { from: number | null; to: number | null }) {
  if (from === null) return null;
  return to === null ? <Elapsed since={from} /> : <Duration ms={to - from} />;
}
