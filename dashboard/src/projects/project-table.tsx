import type { ReactNode } from "react";
import type { AnswerOf } from "../api/client.ts";
import { Age } from "../parts/age.tsx";
import { Beam } from "../parts/beam.tsx";
import { Glyph } from "../parts/glyph.tsx";
import { Plain } from "../parts/plain.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Tag } from "../parts/tag.tsx";

export type ProjectCard = AnswerOf<"project.list">["items"][number];

const columns: Column<ProjectCard>[] = [
  {
    key: "name",
    title: "Project",
    width: "minmax(120px, 1fr)",
    phone: "first",
    cell: ({ name }) => (
      <span className="clip w5">
        <Plain text={name} />
      </span>
    ),
  },
  {
    key: "folder",
    title: "Folder",
    width: "minmax(120px, 1.6fr)",
    phone: "none",
    cell: ({ source }) => (
      <span className="mono s12 t2 clip">
        <Plain text={source} lines="mark" />
      </span>
    ),
  },
  {
    key: "branch",
    title: "Base branch",
    width: "minmax(80px, 0.6fr)",
    phone: "none",
    cell: ({ baseBranch }) => (
      <span className="mono s12 clip">
        <Plain text={baseBranch} lines="mark" />
      </span>
    ),
  },
  {
    key: "tasks",
    title: "Tasks",
    width: "minmax(110px, 1fr)",
    phone: "second",
    cell: ({ counts, name }) => <Beam counts={counts} label={name} />,
  },
  {
    key: "approvals",
    title: "Needs you",
    width: "minmax(84px, 0.4fr)",
    phone: "second",
    cell: ({ openApprovals }) =>
      openApprovals > 0 && (
        <span className="st st--needs">
          <Glyph state="needs you" />
          <span className="num">{openApprovals.toLocaleString("en")}</span>
          <span className="vh">open approvals</span>
        </span>
      ),
  },
  {
    key: "agents",
    title: "Agents",
    number: true,
    width: "64px",
    phone: "none",
    cell: ({ agents }) => <span className="num">{agents.toLocaleString("en")}</span>,
  },
  {
    key: "sandbox",
    title: "Sandbox",
    width: "minmax(96px, 0.5fr)",
    phone: "second",
    cell: ({ settings }) => (settings.sandbox === "none" ? <Tag high>no sandbox</Tag> : <span className="t3">sandbox</span>),
  },
  {
    key: "at",
    title: "Last activity",
    number: true,
    width: "92px",
    phone: "end",
    cell: ({ lastActivityAt }) => <Age at={lastActivityAt} />,
  },
];

interface ProjectTableProps {
  projects: readonly ProjectCard[];
  selected: string | null;
  onOpen: (id: string) => void;
  /** The pane is there: it follows the row. */
  beside: boolean;
  empty: ReactNode;
  end: ReactNode;
}

/** Beside the pane there is no room for what the pane says too. */
const narrow = columns.filter(({ key }) => key !== "folder" && key !== "branch" && key !== "agents");

/** The repositories that agents work on, and how each stands. */
export function ProjectTable({ projects, selected, onOpen, beside, empty, end }: ProjectTableProps) {
  return (
    <Table
      label="Projects"
      rows={projects}
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

const keyOf = ({ id }: ProjectCard): string => id;
