import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { call } from "../api/act.ts";
import { ask } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { RadioCards } from "../parts/radio-cards.tsx";
import { Select } from "../parts/select.tsx";
import { TextArea } from "../parts/text-area.tsx";
import { TextField } from "../parts/text-field.tsx";
import { useToast } from "../parts/toasts.tsx";
import { useKeys } from "../shell/keys.ts";
import { type AgentDraft, emptyAgent, newAgentOf, type Problems } from "./agent-form.ts";
import { backendTitles, credentialsWords, detectionGlyph, permissionsWords } from "./agent-words.ts";
import { presetsFor } from "./presets.ts";
import { FormTrouble, toFirstProblem } from "./form-trouble.tsx";
import { useSend } from "./use-send.ts";

interface AgentAddProps {
  /** What is chosen at the start. */
  first?: Partial<AgentDraft>;
  onClose: () => void;
  onAdded: (name: string) => void;
}

/** Another agent. Whether it can be used is found out by the server at once. */
export function AgentAdd({ first, onClose, onAdded }: AgentAddProps) {
  const toast = useToast();
  const { busy, problem, send } = useSend();
  const [draft, setDraft] = useState<AgentDraft>({ ...emptyAgent, ...first });
  const [tried, setTried] = useState(false);
  const { input, problems } = newAgentOf(draft);
  const put = (change: Partial<AgentDraft>): void => setDraft((now) => ({ ...now, ...change }));
  const add = (): void => {
    setTried(true);
    if (input === null) return toFirstProblem();
    send(
      () => call("agent.create", input),
      ({ name, detection }) => {
        toast.show({ title: `${name} is added: ${detection.state}`, state: detectionGlyph[detection.state] });
        onAdded(name);
      },
    );
  };
  useKeys([{ keys: "mod+enter", label: "add", typing: true, quiet: true, run: add }]);
  return (
    <Dialog
      open
      onClose={onClose}
      title="Add an agent"
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" keys="mod+Enter" busy={busy} onClick={add}>
            Add the agent
          </Button>
        </>
      }
    >
      <Fields draft={draft} put={put} problems={tried ? problems : {}} />
      <FormTrouble problem={problem} />
    </Dialog>
  );
}

interface FieldsProps {
  draft: AgentDraft;
  put: (change: Partial<AgentDraft>) => void;
  problems: Problems<AgentDraft>;
}

function Fields({ draft, put, problems }: FieldsProps) {
  const { backend, preset } = draft;
  const isProgram = backend !== "model";
  return (
    <>
      <TextField
        label="Name"
        mono
        value={draft.name}
        onChange={(name) => put({ name })}
        error={problems.name}
        hint="Lower-case letters, digits and dashes: reviewer"
        autoFocus
        maxLength={63}
      />
      <RadioCards
        label="What it is"
        value={backend}
        onChange={(to) =>
          put({
            backend: to,
            preset: presetsFor(to).includes(preset) ? preset : (presetsFor(to)[0] ?? ""),
            // Only a model can be the demo.
            ...(draft.provider === "demo" ? { provider: "" } : {}),
          })
        }
        cards={(["acp", "command", "model"] as const).map((value) => ({ value, ...backendTitles[value] }))}
      />
      {isProgram && (
        <Select
          label="Program"
          value={preset}
          onChange={(to) => put({ preset: to, ...(to === "" && draft.credentials === "vendor" ? { credentials: "none" } : {}) })}
          options={[...presetsFor(backend).map((name) => ({ value: name, label: name })), { value: "", label: "Another program" }]}
        />
      )}
      {isProgram && preset === "" && (
        <TextArea
          label="The program and its arguments, one in a line"
          mono
          value={draft.command}
          onChange={(command) => put({ command })}
          error={problems.command}
          hint={
            backend === "command"
              ? "A line {prompt} stands for the prompt; without it the prompt comes by stdin."
              : "An absolute path, or a name on the server's search path."
          }
        />
      )}
      {isProgram && (
        <Select
          label="Credentials"
          value={draft.credentials}
          onChange={(credentials) => put({ credentials })}
          hint={credentialsWords(draft.credentials, backend).text}
          options={(["vendor", "key", "none"] as const).map((value) => ({
            value,
            label: credentialsWords(value, backend).title,
            // Where another program keeps its login is not known.
            disabled: value === "vendor" && preset === "",
          }))}
        />
      )}
      {(!isProgram || draft.credentials === "key") && (
        <ProviderField value={draft.provider} withDemo={!isProgram} onChange={(provider) => put({ provider })} error={problems.provider} />
      )}
      {draft.provider !== "demo" && (
        <TextField
          label="Model"
          mono
          value={draft.model}
          onChange={(model) => put({ model })}
          hint={isProgram && draft.credentials !== "key" ? "Left empty: what the program is set to." : "Left empty: the provider's own."}
          maxLength={200}
        />
      )}
      {draft.provider !== "demo" && (
        <Select
          label="When it wants to edit or to run a command"
          value={draft.permissions}
          onChange={(permissions) => put({ permissions })}
          hint={permissionsWords(draft.permissions, backend).text}
          options={(["auto", "ask"] as const).map((value) => ({ value, label: permissionsWords(value, backend).title }))}
        />
      )}
    </>
  );
}

function ProviderField({
  value,
  withDemo,
  onChange,
  error,
}: {
  value: string;
  withDemo: boolean;
  onChange: (value: string) => void;
  error?: string;
}) {
  const { data } = useQuery(ask("provider.list", { limit: 500 }));
  const items = data?.items ?? [];
  return (
    <Select
      label="Provider"
      value={value}
      onChange={onChange}
      error={error}
      hint={data && items.length === 0 ? "None is set up yet: add one below the agents first." : undefined}
      options={[
        { value: "", label: "Choose one" },
        ...items.map(({ name, model }) => ({ value: name, label: `${name} (${model})` })),
        ...(withDemo ? [{ value: "demo", label: "demo (built in, no language model)" }] : []),
      ]}
    />
  );
}
