import type { ReactNode } from "react";
import type { AnswerOf } from "../api/client.ts";
import { Monogram } from "../parts/monogram.tsx";
import { Plain } from "../parts/plain.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tag } from "../parts/tag.tsx";
import { backendTitles, kindWords, modelWords } from "./agent-words.ts";
import { DetectionMark, Fix } from "./detection-view.tsx";

export type AgentCard = AnswerOf<"agent.list">["items"][number];

const columns: Column<AgentCard>[] = [
  {
    key: "name",
    title: "Agent",
    width: "minmax(130px, 1fr)",
    phone: "first",
    cell: ({ name, demo }) => (
      <span className="flex clip">
        <Monogram name={name} kind="agent" />
        <span className="clip w5">
          <Plain text={name} />
        </span>
        {demo && <Tag>demo</Tag>}
      </span>
    ),
  },
  {
    key: "kind",
    title: "What it is",
    width: "minmax(120px, 1.1fr)",
    phone: "second",
    cell: (agent) => (
      <span className="clip" title={backendTitles[agent.backend].title}>
        <Plain text={kindWords(agent)} />
      </span>
    ),
  },
  {
    key: "version",
    title: "Version",
    width: "minmax(64px, 0.4fr)",
    phone: "none",
    cell: ({ detection }) => <span className="mono s12">{detection.version !== null && <Plain text={detection.version} />}</span>,
  },
  {
    key: "detection",
    title: "Can be used",
    width: "minmax(130px, 0.8fr)",
    phone: "second",
    cell: ({ detection }) => <DetectionMark state={detection.state} />,
  },
  {
    key: "fix",
    title: "What mends it",
    width: "minmax(120px, 1.6fr)",
    phone: "none",
    cell: ({ detection }) => (detection.fix === null ? null : <Fix text={detection.fix} />),
  },
  {
    key: "model",
    title: "Provider, model",
    width: "minmax(100px, 0.9fr)",
    phone: "none",
    cell: ({ settings }) => (
      <span className="clip t2">
        <Plain text={modelWords(settings) ?? "its own"} />
      </span>
    ),
  },
  {
    key: "active",
    title: "At work",
    number: true,
    phone: "end",
    cell: ({ active, limit }) => (
      <span className="num" title={`${active} of at most ${limit} sessions`}>
        {active}/{limit}
      </span>
    ),
  },
];

interface AgentTableProps {
  agents: readonly AgentCard[];
  selected: string | null;
  onOpen: (name: string) => void;
  /** The pane is there: it follows the row. */
  beside: boolean;
  empty: ReactNode;
  end: ReactNode;
}

/** Beside the pane there is no room for what the pane says too. */
const narrow = columns.filter(({ key }) => key !== "fix" && key !== "version");

/** Who can work here, and whether it can be used now. */
export function AgentTable({ agents, selected, onOpen, beside, empty, end }: AgentTableProps) {
  return (
    <Table
      label="Agents"
      rows={agents}
      keyOf={keyOf}
      columns={beside ? narrow : columns}
      selected={selected}
      onSelect={beside ? onOpen : undefined}
      onOpen={onOpen}
      letters
      empty={empty}
      end={end}
    />
  );
}

const keyOf = ({ name }: AgentCard): string => name;
