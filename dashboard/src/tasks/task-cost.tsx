import type { TaskView } from "../../../src/tasks/task.ts";
import { Duration, Elapsed } from "../parts/duration.tsx";
import { Ledger } from "../parts/ledger.tsx";
import { Money } from "../parts/money.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tokens } from "../parts/tokens.tsx";

type Turn = TaskView["usage"]["byTurn"][number];

const columns: Column<Turn>[] = [
  { key: "turn", title: "Turn", width: "minmax(90px, 1fr)", phone: "first", cell: ({ session, turn }) => `${session} #${turn}` },
  {
    key: "model",
    title: "Model",
    width: "minmax(90px, 1fr)",
    phone: "second",
    cell: ({ usage }) => usage?.model ?? <span className="t3">not told</span>,
  },
  { key: "in", title: "Input", number: true, phone: "none", cell: ({ usage }) => <Tokens n={usage?.inputTokens ?? null} /> },
  { key: "cached", title: "Cached", number: true, phone: "none", cell: ({ usage }) => <Tokens n={usage?.cachedTokens ?? null} /> },
  { key: "out", title: "Output", number: true, phone: "none", cell: ({ usage }) => <Tokens n={usage?.outputTokens ?? null} /> },
  { key: "cost", title: "Reported", number: true, phone: "none", cell: ({ usage }) => <Money usd={usage?.costUsd ?? null} /> },
  {
    key: "time",
    title: "Time",
    number: true,
    phone: "end",
    cell: ({ startedAt, finishedAt }) => (finishedAt === null ? <Elapsed since={startedAt} /> : <Duration ms={finishedAt - startedAt} />),
  },
];

/** What it took, turn by turn, as the programs and providers report it. */
export function TaskCost({ task: { usage } }: { task: TaskView }) {
  return (
    <div className="task__pad">
      <Ledger
        rows={[
          { name: "turns", value: usage.turns.toLocaleString("en") },
          { name: "input", value: <Tokens n={usage.inputTokens} /> },
          { name: "of it cached", value: <Tokens n={usage.cachedTokens} /> },
          { name: "output", value: <Tokens n={usage.outputTokens} /> },
          { name: "cost", value: usage.costUsd === null ? "not reported by the program" : <Money usd={usage.costUsd} /> },
        ]}
      />
      <Table label="Turns" rows={usage.byTurn} keyOf={({ session, turn, attempt }) => `${session} ${turn} ${attempt}`} columns={columns} />
    </div>
  );
}
