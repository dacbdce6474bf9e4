import { useInfiniteQuery } from "@tanstack/react-query";
import { Plus, Radar } from "lucide-react";
import { useState } from "react";
import type { Provider } from "../../../src/models/provider.ts";
import { pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Loading } from "../parts/loading.tsx";
import { Panel } from "../parts/panel.tsx";
import { FoundModels } from "./found-models.tsx";
import { ProviderForm } from "./provider-form-dialog.tsx";
import { ProviderRow } from "./provider-row.tsx";

/** Where models are: what is set up, what answers on this machine, and whether it works. `onUse` makes an agent of one. */
export function Providers({ onUse }: { onUse: (provider: string) => void }) {
  const query = useInfiniteQuery(pages("provider.list", { limit: 100 }));
  const [form, setForm] = useState<{ provider: Provider | null } | null>(null);
  // What a test said is of the provider as it was then.
  const [saves, setSaves] = useState(0);
  const [looking, setLooking] = useState(false);
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Panel
      title="Providers of models"
      flush
      actions={
        <>
          {!looking && (
            <Button kind="quiet" icon={Radar} onClick={() => setLooking(true)}>
              Look on this machine
            </Button>
          )}
          <Button icon={Plus} onClick={() => setForm({ provider: null })}>
            Add a provider
          </Button>
        </>
      }
    >
      {looking && <FoundModels onUse={onUse} onClose={() => setLooking(false)} />}
      {query.error && !query.data ? (
        <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <Loading label="Loading the providers" />
      ) : items.length === 0 ? (
        <Empty
          kind="first"
          title="No provider yet"
          text="With one, agents reach its models through the server: the key stays here, and what they use is counted."
          cli="tutti providers set openai --model <name> --key-stdin"
        />
      ) : (
        <ul className="providers" aria-label="Providers">
          {items.map((provider) => (
            <ProviderRow
              key={`${provider.name} ${saves}`}
              provider={provider}
              onChange={() => setForm({ provider })}
              onUse={() => onUse(provider.name)}
            />
          ))}
        </ul>
      )}
      {query.hasNextPage && (
        <Button kind="quiet" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Load more
        </Button>
      )}
      {form && (
        <ProviderForm
          provider={form.provider}
          onClose={() => setForm(null)}
          onSaved={() => {
            setForm(null);
            setSaves((now) => now + 1);
          }}
        />
      )}
    </Panel>
  );
}
