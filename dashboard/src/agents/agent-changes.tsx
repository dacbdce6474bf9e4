import { useState } from "react";
import type { Agent } from "../../../src/agents/agent.ts";
import { call } from "../api/act.ts";
import { ask, queries } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { RadioCards } from "../parts/radio-cards.tsx";
import { TextField } from "../parts/text-field.tsx";
import { useToast } from "../parts/toasts.tsx";
import { type AgentChange, changeOf, updateOf } from "./agent-form.ts";
import { permissionsWords } from "./agent-words.ts";
import { FormTrouble } from "./form-trouble.tsx";
import { useSend } from "./use-send.ts";

/** What of an agent can be changed; what is not touched here follows what others change. */
export function AgentChanges({ agent }: { agent: Agent }) {
  const toast = useToast();
  const { busy, problem, send } = useSend();
  const [edits, setEdits] = useState<Partial<AgentChange>>({});
  const change = { ...changeOf(agent), ...edits };
  const { input, problems } = updateOf(agent, change);
  const put = (edit: Partial<AgentChange>): void => setEdits((now) => ({ ...now, ...edit }));
  const save = (): void => {
    if (input === null) return;
    send(
      () => call("agent.update", input),
      (saved) => {
        queries.setQueryData(ask("agent.get", { name: agent.name }).queryKey, saved);
        setEdits({});
        toast.show({ title: `${saved.name} is changed` });
      },
    );
  };
  const wrong = Object.keys(problems).length > 0;
  return (
    <form
      className="stack stack--3"
      aria-label="Change the agent"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <TextField
        label="Sessions at once"
        mono
        inputMode="numeric"
        value={change.limit}
        onChange={(limit) => put({ limit })}
        error={problems.limit}
        hint="More than so many tasks wait for it, or go to another that fits."
      />
      <TextField
        label="Role"
        value={change.role}
        onChange={(role) => put({ role })}
        hint="Steps of a flow can ask for a role instead of a name."
        maxLength={200}
      />
      <TextField
        label="Skills"
        value={change.skills}
        onChange={(skills) => put({ skills })}
        hint="Words with commas between them: typescript, sql"
      />
      <div className="stack">
        <b className="w5">When it wants to edit or to run a command</b>
        <RadioCards
          label="When it wants to edit or to run a command"
          value={change.permissions}
          onChange={(permissions) => put({ permissions })}
          cards={(["auto", "ask"] as const).map((value) => ({ value, ...permissionsWords(value, agent.backend) }))}
        />
      </div>
      <FormTrouble problem={problem} />
      <div className="flex flex--wrap">
        <Button
          type="submit"
          kind="primary"
          busy={busy}
          disabledReason={wrong ? "something cannot be so" : input === null ? "nothing is changed" : undefined}
        >
          Save
        </Button>
        {Object.keys(edits).length > 0 && (
          <Button kind="quiet" onClick={() => setEdits({})}>
            Undo the changes
          </Button>
        )}
      </div>
    </form>
  );
}
