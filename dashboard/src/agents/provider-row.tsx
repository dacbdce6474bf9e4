import { useMutation } from "@tanstack/react-query";
import { Ellipsis } from "lucide-react";
import { useState } from "react";
import type { Provider } from "../../../src/models/provider.ts";
import type { ProviderTest } from "../../../src/models/test-provider.ts";
import { call } from "../api/act.ts";
import { client } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { countWords } from "../parts/figures.ts";
import { IconButton } from "../parts/icon-button.tsx";
import { Menu } from "../parts/menu.tsx";
import { Notice } from "../parts/notice.tsx";
import { Plain } from "../parts/plain.tsx";
import { Tag } from "../parts/tag.tsx";
import { useToast } from "../parts/toasts.tsx";
import { providerSubject } from "../../../src/breakers/breaker.ts";
import { BreakerNotice } from "./breaker-notice.tsx";
import { Fix } from "./detection-view.tsx";
import { keyWords } from "./provider-form.ts";
import { FormTrouble } from "./form-trouble.tsx";
import { useSend } from "./use-send.ts";

/** One provider, with what a test of it answered. A test spends a few tokens, so it is only made when it is asked for. */
export function ProviderRow({ provider, onChange, onUse }: { provider: Provider; onChange: () => void; onUse: () => void }) {
  const { name, protocol, model, baseUrl, source } = provider;
  const test = useMutation({ mutationFn: () => client.query("provider.test", { name }) });
  const [removing, setRemoving] = useState(false);
  const fixed = source === "environment" ? "the server's environment gives it" : undefined;
  return (
    <li className="providers__row">
      <div className="providers__line">
        <b className="clip">
          <Plain text={name} />
        </b>
        <Tag>{protocol}</Tag>
        <span className="mono s12 clip">
          <Plain text={model} />
        </span>
        <span className="push flex">
          <Button busy={test.isPending} aria-label={`Test ${name}`} onClick={() => test.mutate()}>
            Test
          </Button>
          <Menu
            trigger={<IconButton icon={Ellipsis} label={`More about ${name}`} />}
            items={[
              { label: "Make an agent of it", onSelect: onUse },
              { label: "Change", disabledReason: fixed, onSelect: onChange },
              "line",
              { label: "Remove", danger: true, disabledReason: fixed, onSelect: () => setRemoving(true) },
            ]}
          />
        </span>
      </div>
      <div className="providers__line t3 s12">
        <span className="mono clip">
          <Plain text={baseUrl} />
        </span>
        <span className="nowrap">{keyWords(provider)}</span>
      </div>
      <BreakerNotice subject={providerSubject(name)} />
      <div role="status">
        {test.data && <TestAnswer test={test.data} />}
        {test.error && <Failure error={problemOf(test.error)} />}
      </div>
      {removing && <ProviderRemove name={name} onClose={() => setRemoving(false)} />}
    </li>
  );
}

/** What its model answered to one word. */
function TestAnswer({ test: { state, message, fix, ms, model } }: { test: ProviderTest }) {
  if (state === "ready") {
    return (
      <Notice title="ready">
        <Plain text={model} /> answered in <span className="num">{countWords(ms)} ms</span>.
      </Notice>
    );
  }
  return (
    <Notice kind={state === "limited" ? "warn" : "fail"} title={state}>
      {message !== null && <Plain text={message} />}
      {fix !== null && (
        <div className="fix-line">
          <Fix text={fix} />
        </div>
      )}
    </Notice>
  );
}

function ProviderRemove({ name, onClose }: { name: string; onClose: () => void }) {
  const toast = useToast();
  const { busy, problem, send } = useSend();
  const remove = (): void =>
    send(
      () => call("provider.remove", { name }),
      () => {
        toast.show({ title: `${name} and its key are removed` });
        onClose();
      },
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={
        <>
          Remove <Plain text={name} />?
        </>
      }
      actions={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button kind="danger" busy={busy} onClick={remove}>
            Remove the provider
          </Button>
        </>
      }
    >
      <p>Its key is deleted too. Agents that use it cannot work until they have another.</p>
      <FormTrouble problem={problem} />
    </Dialog>
  );
}
