import { useState } from "react";
import { Protocol } from "../../../src/models/model.ts";
import type { Provider } from "../../../src/models/provider.ts";
import { call } from "../api/act.ts";
import { Button } from "../parts/button.tsx";
import { Checkbox } from "../parts/checkbox.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Select } from "../parts/select.tsx";
import { TextField } from "../parts/text-field.tsx";
import { useToast } from "../parts/toasts.tsx";
import { useKeys } from "../shell/keys.ts";
import { draftOf, keyWords, type ProviderDraft, providerOf } from "./provider-form.ts";
import { FormTrouble, toFirstProblem } from "./form-trouble.tsx";
import { useSend } from "./use-send.ts";

const protocolWords: Readonly<Record<Protocol, string>> = {
  openai: "OpenAI's (most others speak it too)",
  anthropic: "Anthropic's",
  google: "Google's",
};

/** A new provider, or a change of one. The key goes to the server and comes back nowhere. */
export function ProviderForm({ provider, onClose, onSaved }: { provider: Provider | null; onClose: () => void; onSaved: () => void }) {
  const toast = useToast();
  const { busy, problem, send } = useSend();
  const [draft, setDraft] = useState(() => draftOf(provider));
  const [tried, setTried] = useState(false);
  const { input, problems } = providerOf(draft);
  const seen = tried ? problems : {};
  const put = (change: Partial<ProviderDraft>): void => setDraft((now) => ({ ...now, ...change }));
  const save = (): void => {
    setTried(true);
    if (input === null) return toFirstProblem();
    send(
      () => call("provider.set", input),
      ({ name }) => {
        toast.show({ title: provider === null ? `${name} is added` : `${name} is changed` });
        onSaved();
      },
    );
  };
  useKeys([{ keys: "mod+enter", label: "save", typing: true, quiet: true, run: save }]);
  return (
    <Dialog
      open
      onClose={onClose}
      title={provider === null ? "Add a provider" : `Change ${provider.name}`}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" keys="mod+Enter" busy={busy} onClick={save}>
            {provider === null ? "Add the provider" : "Save"}
          </Button>
        </>
      }
    >
      <TextField
        label="Name"
        mono
        value={draft.name}
        onChange={(name) => put({ name })}
        readOnly={provider !== null}
        error={seen.name}
        hint={provider === null ? "openai, anthropic and google are known by their name." : "A name stays: agents use it."}
        autoFocus={provider === null}
        maxLength={63}
      />
      <Select
        label="Protocol"
        value={draft.protocol}
        onChange={(protocol) => put({ protocol })}
        options={[
          ...(provider === null ? [{ value: "" as const, label: "As its name or address says" }] : []),
          ...Protocol.options.map((value) => ({ value, label: protocolWords[value] })),
        ]}
      />
      <TextField
        label="Address"
        mono
        inputMode="url"
        value={draft.baseUrl}
        onChange={(baseUrl) => put({ baseUrl })}
        error={seen.baseUrl}
        placeholder="http://127.0.0.1:11434/v1"
        hint={provider === null ? "Left empty: the vendor's own." : "Left empty: it stays."}
        maxLength={2000}
      />
      <TextField
        label="Model"
        mono
        autoFocus={provider !== null}
        value={draft.model}
        onChange={(model) => put({ model })}
        error={seen.model}
        maxLength={200}
      />
      <TextField
        label="Key"
        mono
        type="password"
        autoComplete="new-password"
        spellCheck={false}
        value={draft.key}
        onChange={(key) => put({ key })}
        readOnly={draft.noKey}
        error={seen.key}
        hint={
          draft.noKey
            ? "Its key is deleted when you save."
            : provider === null || provider.keyName === null
              ? "Kept by the server, never shown again, never given to an agent. Left empty: it wants none."
              : `Now: ${keyWords(provider)}. Left empty: it stays.`
        }
        maxLength={4096}
      />
      {provider !== null && provider.keyName !== null && (
        <Checkbox checked={draft.noKey} onChange={(noKey) => put({ noKey, key: "" })}>
          It wants no key any more
        </Checkbox>
      )}
      <FormTrouble problem={problem} />
    </Dialog>
  );
}
