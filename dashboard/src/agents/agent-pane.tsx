import { useQuery } from "@tanstack/react-query";
import { RefreshCw, X } from "lucide-react";
import { type RefObject, useState } from "react";
import type { Agent } from "../../../src/agents/agent.ts";
import { call, useAct } from "../api/act.ts";
import { ask, queries } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Failure } from "../parts/failure.tsx";
import { IconButton } from "../parts/icon-button.tsx";
import { Loading } from "../parts/loading.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { Section } from "../parts/panel.tsx";
import { Plain } from "../parts/plain.tsx";
import { Status } from "../parts/status.tsx";
import { Tag } from "../parts/tag.tsx";
import { useToast } from "../parts/toasts.tsx";
import { AgentChanges } from "./agent-changes.tsx";
import { detectionGlyph } from "./agent-words.ts";
import { AgentFacts, AgentWeek } from "./agent-facts.tsx";
import { AgentRemove } from "./agent-remove.tsx";
import type { AgentCard } from "./agent-table.tsx";
import { AgentWork } from "./agent-work.tsx";
import { agentSubject } from "../../../src/breakers/breaker.ts";
import { BreakerNotice } from "./breaker-notice.tsx";
import { DetectionNotice } from "./detection-view.tsx";

interface AgentPaneProps {
  name: string;
  /** As the list has it; what it did lately is only there. */
  card: AgentCard | null;
  pane: RefObject<HTMLElement | null>;
  onClose: () => void;
}

/** One agent: what it is, whether it can be used and what mends it, what it does, and what of it can be changed. */
export function AgentPane({ name, card, pane, onClose }: AgentPaneProps) {
  const query = ask("agent.get", { name });
  const { data, error, refetch } = useQuery({ ...query, placeholderData: card ?? undefined });
  return (
    <section ref={pane} tabIndex={-1} className="pane pane--surface" aria-label={`Agent ${name}`}>
      <header className="pane__head">
        <Monogram name={name} kind="agent" />
        <h2 className="clip">
          <Plain text={name} />
        </h2>
        {data?.demo === true && <Tag>demo</Tag>}
        {data && <Status state={data.state} reason={data.reason} />}
        <span className="push">
          <IconButton icon={X} label="Close" onClick={onClose} />
        </span>
      </header>
      <div className="pane__body">
        {error && !data ? (
          <Failure error={problemOf(error)} retry={() => void refetch()} />
        ) : !data ? (
          <Loading label="Loading the agent" />
        ) : (
          <Loaded agent={data} card={card} onClose={onClose} />
        )}
      </div>
    </section>
  );
}

function Loaded({ agent, card, onClose }: { agent: Agent; card: AgentCard | null; onClose: () => void }) {
  const toast = useToast();
  const { busy, act } = useAct();
  const [removing, setRemoving] = useState(false);
  const lookAgain = (): void =>
    act(async () => {
      const { items } = await call("agent.refresh", { name: agent.name });
      const [found] = items;
      if (!found) return;
      queries.setQueryData(ask("agent.get", { name: agent.name }).queryKey, found);
      toast.show({ title: `${found.name}: ${found.detection.state}`, state: detectionGlyph[found.detection.state] });
    });
  return (
    <>
      <DetectionNotice detection={agent.detection} />
      <BreakerNotice subject={agentSubject(agent.name)} />
      <Section
        title="What it is"
        actions={
          <Button icon={RefreshCw} busy={busy} onClick={lookAgain}>
            Look again
          </Button>
        }
      >
        <AgentFacts agent={agent} />
      </Section>
      <Section title="At work" facts={`${agent.active} of at most ${agent.limit} sessions`}>
        <AgentWork agent={agent.name} usable={agent.detection.state === "ready"} />
      </Section>
      {card && (
        <Section title="Last 7 days">
          <AgentWeek week={card.lastWeek} />
        </Section>
      )}
      <Section title="Change">
        <AgentChanges agent={agent} />
      </Section>
      <div className="flex flex--wrap">
        <Button
          kind="danger"
          disabledReason={agent.active > 0 ? "it has work that is not over" : undefined}
          onClick={() => setRemoving(true)}
        >
          Remove the agent
        </Button>
      </div>
      {removing && <AgentRemove name={agent.name} onCancel={() => setRemoving(false)} onRemoved={onClose} />}
    </>
  );
}
