import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import type { RefObject } from "react";
import type { Project } from "../../../src/projects/project.ts";
import { ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Age } from "../parts/age.tsx";
import { Beam } from "../parts/beam.tsx";
import { beamShape } from "../parts/beam-shape.ts";
import { CopyButton } from "../parts/copy-button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { IconButton } from "../parts/icon-button.tsx";
import { Ledger } from "../parts/ledger.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { Notice } from "../parts/notice.tsx";
import { Section } from "../parts/panel.tsx";
import { Plain } from "../parts/plain.tsx";
import { sandboxTitles } from "./project-form.ts";
import { projectHref } from "./project-href.ts";
import { ProjectSettingsForm } from "./project-settings.tsx";
import type { ProjectCard } from "./project-table.tsx";

interface ProjectPaneProps {
  id: string;
  /** As the list has it; what goes on in it is only there. */
  card: ProjectCard | null;
  pane: RefObject<HTMLElement | null>;
  onClose: () => void;
}

/** One project: where it is, how it stands, and how agents work in it. */
export function ProjectPane({ id, card, pane, onClose }: ProjectPaneProps) {
  const { data, error, refetch } = useQuery({ ...ask("project.get", { id }), placeholderData: card ?? undefined });
  return (
    <section ref={pane} tabIndex={-1} className="pane pane--surface" aria-label={`Project ${data?.name ?? id}`}>
      <header className="pane__head">
        <h2 className="clip">
          <Plain text={data?.name ?? id} />
        </h2>
        <span className="push">
          <IconButton icon={X} label="Close" onClick={onClose} />
        </span>
      </header>
      <div className="pane__body">
        {error && !data ? (
          <Failure error={problemOf(error)} retry={() => void refetch()} />
        ) : !data ? (
          <Loading label="Loading the project" />
        ) : (
          <Loaded project={data} card={card} />
        )}
      </div>
    </section>
  );
}

function Loaded({ project, card }: { project: Project; card: ProjectCard | null }) {
  const { id, source, baseBranch, createdAt, settings } = project;
  return (
    <>
      {settings.sandbox === "none" && (
        <Notice kind="warn" title={sandboxTitles.none.title}>
          {sandboxTitles.none.text}
        </Notice>
      )}
      <nav className="flex flex--wrap" aria-label="Screens of this project">
        {(["/board", "/runs", "/fleet", "/inbox"] as const).map((path) => (
          <Link key={path} className="btn btn--plain" href={projectHref(path, id)}>
            {words[path]}
          </Link>
        ))}
      </nav>
      <Section title="Where it is">
        <Ledger
          rows={[
            {
              name: "folder",
              value: (
                <span className="flex">
                  <span className="mono s12">
                    <Plain text={source} lines="mark" />
                  </span>
                  <CopyButton text={source} label="Copy the folder" />
                </span>
              ),
            },
            { name: "base branch", value: <Mono text={baseBranch} /> },
            { name: "id", value: <Mono text={id} /> },
            {
              name: "added",
              value: (
                <>
                  <Age at={createdAt} /> ago
                </>
              ),
            },
          ]}
        />
      </Section>
      {card && (
        <Section title="How it stands">
          <Stands card={card} />
        </Section>
      )}
      <Section title="Settings">
        <ProjectSettingsForm project={project} />
      </Section>
    </>
  );
}

const words = { "/board": "Board", "/runs": "Runs", "/fleet": "Fleet", "/inbox": "Inbox" } as const;

function Stands({ card: { id, name, counts, agents, openApprovals, lastActivityAt } }: { card: ProjectCard }) {
  const { parts, words: counted } = beamShape(counts);
  if (parts.length === 0) {
    return (
      <Empty
        kind="clear"
        title="Nothing was asked of it yet"
        text="Tasks and flows of this project are counted here."
        action={
          <Link className="btn btn--plain" href={projectHref("/board", id)}>
            Add a task on its board
          </Link>
        }
      />
    );
  }
  return (
    <>
      <Beam counts={counts} label={name} />
      <p className="t2 stands__words">{counted}</p>
      <Ledger
        rows={[
          {
            name: "open approvals",
            value:
              openApprovals === 0 ? (
                <span className="t3">none</span>
              ) : (
                <Link href={projectHref("/inbox", id)}>{openApprovals} in the inbox</Link>
              ),
          },
          { name: "agents at work", value: <span className="num">{agents}</span> },
          {
            name: "last activity",
            value: (
              <>
                <Age at={lastActivityAt} /> ago
              </>
            ),
          },
        ]}
      />
    </>
  );
}

function Mono({ text }: { text: string }) {
  return (
    <span className="mono s12">
      <Plain text={text} lines="mark" />
    </span>
  );
}
