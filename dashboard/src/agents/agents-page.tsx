import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Plus, RefreshCw, Search } from "lucide-react";
import { useRef, useState } from "react";
import { call, useAct } from "../api/act.ts";
import { pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Header } from "../parts/header.tsx";
import { Loading } from "../parts/loading.tsx";
import { usePhone } from "../parts/phone.ts";
import { Split } from "../parts/split.tsx";
import { TextField } from "../parts/text-field.tsx";
import { useToast } from "../parts/toasts.tsx";
import { Toolbar } from "../parts/toolbar.tsx";
import { AgentAdd } from "./agent-add.tsx";
import type { AgentDraft } from "./agent-form.ts";
import { AgentPane } from "./agent-pane.tsx";
import { type AgentCard, AgentTable } from "./agent-table.tsx";
import { kindWords } from "./agent-words.ts";
import "./agents.css";
import { isFound } from "./find.ts";
import { useListAndPane } from "./list-and-pane.ts";
import { Providers } from "./providers.tsx";

/** Who can work here, whether it can be used now, and where its models are. */
export function AgentsPage() {
  const { agent: opened } = useSearch({ from: "/agents" });
  const navigate = useNavigate({ from: "/agents" });
  const phone = usePhone();
  const toast = useToast();
  const { busy, act } = useAct();
  const [adding, setAdding] = useState<Partial<AgentDraft> | null>(null);
  const [typed, setTyped] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const query = useInfiniteQuery(pages("agent.list", { limit: 500 }));
  const all = query.data?.pages.flatMap((page) => page.items) ?? [];
  const agents = all.filter((agent) => isFound(typed, textsOf(agent)));
  const open = (agent: string | undefined): void =>
    void navigate({ search: (now) => ({ ...now, agent }), replace: opened !== undefined && agent !== undefined });
  const { list, pane } = useListAndPane({
    open: opened !== undefined,
    onOpen: open,
    onClose: () => open(undefined),
    onCreate: () => setAdding({}),
    onFind: () => field.current?.focus(),
  });
  const lookAgain = (): void =>
    act(async () => {
      const { items } = await call("agent.refresh", {});
      const ready = items.filter(({ detection }) => detection.state === "ready").length;
      toast.show({ title: `${ready} of ${items.length} can be used`, state: ready === items.length ? "done" : "needs you" });
    });
  const first = (
    <div ref={list} className="beside beside--agents">
      <Toolbar label="Filter">
        <TextField
          ref={field}
          label="Find agents"
          labelHidden
          icon={Search}
          keys="/"
          placeholder="Find: goose, signed out"
          value={typed}
          onChange={setTyped}
        />
      </Toolbar>
      {query.error && !query.data ? (
        <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <Loading label="Loading the agents" lines={6} />
      ) : (
        <AgentTable
          agents={agents}
          selected={opened ?? null}
          onOpen={open}
          beside={opened !== undefined && !phone}
          empty={
            all.length > 0 ? (
              <Empty
                kind="filtered"
                title="No agent is like that"
                text={`What you typed hides all ${all.length}${query.hasNextPage ? " that are loaded" : ""}.`}
                action={<Button onClick={() => setTyped("")}>Show all</Button>}
              />
            ) : (
              <Empty
                kind="first"
                title="No agent yet"
                text="An agent is a program on this machine, or a model, that can be given work."
                action={<Button onClick={() => setAdding({})}>Add an agent</Button>}
                cli="tutti agents add goose --backend acp --preset goose"
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
      <div className="beside__more">
        <Providers onUse={(provider) => setAdding({ backend: "model", provider })} />
      </div>
    </div>
  );
  return (
    <div className="page">
      <Header
        title="Agents"
        beside={
          query.data && (
            <span className="t3 num">
              {all.length}
              {query.hasNextPage ? "+" : ""}
            </span>
          )
        }
        actions={
          <>
            <Button icon={RefreshCw} busy={busy} onClick={lookAgain}>
              Look again
            </Button>
            <Button kind="primary" icon={Plus} keys="c" onClick={() => setAdding({})}>
              Add agent
            </Button>
          </>
        }
      />
      <Split
        name="agents"
        sized="second"
        width={460}
        max={760}
        label="Width of the agent's details"
        first={first}
        second={
          opened === undefined ? null : (
            <AgentPane
              key={opened}
              name={opened}
              card={all.find(({ name }) => name === opened) ?? null}
              pane={pane}
              onClose={() => open(undefined)}
            />
          )
        }
      />
      {adding && (
        <AgentAdd
          first={adding}
          onClose={() => setAdding(null)}
          onAdded={(name) => {
            setAdding(null);
            open(name);
          }}
        />
      )}
    </div>
  );
}

const textsOf = (agent: AgentCard): string[] => [
  agent.name,
  kindWords(agent),
  agent.detection.state,
  agent.role ?? "",
  ...agent.skills,
  agent.settings.provider ?? "",
  agent.settings.model ?? "",
  agent.demo ? "demo" : "",
];
