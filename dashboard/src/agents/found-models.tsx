import { useQuery } from "@tanstack/react-query";
import { RefreshCw, X } from "lucide-react";
import { useState } from "react";
import { call, useAct } from "../api/act.ts";
import { type AnswerOf, ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { IconButton } from "../parts/icon-button.tsx";
import { Loading } from "../parts/loading.tsx";
import { Section } from "../parts/panel.tsx";
import { Plain } from "../parts/plain.tsx";
import { Select } from "../parts/select.tsx";
import { Tag } from "../parts/tag.tsx";
import { useToast } from "../parts/toasts.tsx";

type Found = AnswerOf<"provider.discover">["items"][number];

/** The model servers that answer on the server's own machine. None is added by itself. */
export function FoundModels({ onUse, onClose }: { onUse: (provider: string) => void; onClose: () => void }) {
  const { data, error, isFetching, refetch } = useQuery(ask("provider.discover", {}));
  return (
    <Section
      title="On this machine"
      actions={
        <>
          <Button kind="quiet" icon={RefreshCw} busy={isFetching} onClick={() => void refetch()}>
            Look again
          </Button>
          <IconButton icon={X} label="Close what was found" onClick={onClose} />
        </>
      }
    >
      {error && !data ? (
        <Failure error={problemOf(error)} retry={() => void refetch()} />
      ) : !data ? (
        <Loading label="Looking for model servers" lines={2} />
      ) : data.items.length === 0 ? (
        <Empty
          kind="clear"
          title="No model server answers here"
          text="Ollama, llama.cpp, vLLM and LM Studio are found at their usual ports when they run on the server's machine."
          cli="tutti provider discover --ports 9000"
        />
      ) : (
        <ul className="providers" aria-label="Found model servers">
          {data.items.map((found) => (
            <FoundRow key={found.baseUrl} found={found} onUse={onUse} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function FoundRow({
  found: { name, kind, baseUrl, protocol, models, provider },
  onUse,
}: {
  found: Found;
  onUse: (provider: string) => void;
}) {
  const toast = useToast();
  const { busy, act } = useAct();
  const [chosen, setChosen] = useState<string | null>(null);
  const model = chosen !== null && models.includes(chosen) ? chosen : models[0];
  const add = (): void => {
    if (model === undefined) return;
    act(async () => {
      await call("provider.set", { name, protocol, baseUrl, model });
      toast.show({ title: `${name} is added`, action: { label: "Make an agent of it", act: () => onUse(name) } });
    });
  };
  return (
    <li className="providers__row">
      <div className="providers__line">
        <b className="clip">
          <Plain text={provider ?? name} />
        </b>
        <Tag>{kind}</Tag>
        <span className="mono s12 t3 clip">
          <Plain text={baseUrl} />
        </span>
        <span className="push flex providers__add">
          {provider !== null ? (
            <span className="t2">added</span>
          ) : model === undefined ? (
            <span className="t2">it has no model yet</span>
          ) : (
            <>
              <Select
                label={`Model of ${name}`}
                labelHidden
                value={model}
                onChange={setChosen}
                options={models.map((value) => ({ value, label: value }))}
              />
              <Button busy={busy} aria-label={`Add ${name}`} onClick={add}>
                Add
              </Button>
            </>
          )}
        </span>
      </div>
    </li>
  );
}
