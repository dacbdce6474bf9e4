import { useState } from "react";
import type { Project } from "../../../src/projects/project.ts";
import { FormTrouble } from "../agents/form-trouble.tsx";
import { useSend } from "../agents/use-send.ts";
import { call } from "../api/act.ts";
import { ask, queries } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Plain } from "../parts/plain.tsx";
import { RadioCards } from "../parts/radio-cards.tsx";
import { TextArea } from "../parts/text-area.tsx";
import { TextField } from "../parts/text-field.tsx";
import { useToast } from "../parts/toasts.tsx";
import { deliverTitles, draftOf, sandboxTitles, type SettingsDraft, updateOf } from "./project-form.ts";

/** How agents work in a project; what is not touched here follows what others change. */
export function ProjectSettingsForm({ project }: { project: Project }) {
  const toast = useToast();
  const { busy, problem, send } = useSend();
  const [edits, setEdits] = useState<Partial<SettingsDraft>>({});
  const [asked, setAsked] = useState(false);
  const draft = { ...draftOf(project.settings), ...edits };
  const { input, limitProblem, opens } = updateOf(project, draft);
  const put = (edit: Partial<SettingsDraft>): void => setEdits((now) => ({ ...now, ...edit }));
  const save = (): void => {
    setAsked(false);
    if (input === null) return;
    send(
      () => call("project.update", input),
      (saved) => {
        queries.setQueryData(ask("project.get", { id: project.id }).queryKey, saved);
        setEdits({});
        toast.show({ title: `${saved.name} is changed` });
      },
    );
  };
  return (
    <form
      className="stack stack--4"
      aria-label="Change the settings"
      onSubmit={(event) => {
        event.preventDefault();
        if (opens) setAsked(true);
        else save();
      }}
    >
      <TextField
        label="Attempts at once"
        mono
        inputMode="numeric"
        value={draft.limit}
        onChange={(limit) => put({ limit })}
        error={limitProblem}
        hint="How many tasks of this project are worked on at the same time; the others wait."
      />
      <div className="stack">
        <b className="w5">What happens to what passed</b>
        <RadioCards
          label="What happens to what passed"
          value={draft.deliver}
          onChange={(deliver) => put({ deliver })}
          cards={(["local", "push"] as const).map((value) => ({ value, ...deliverTitles[value] }))}
        />
      </div>
      <TextArea
        label="Set-up"
        mono
        value={draft.setup}
        onChange={(setup) => put({ setup })}
        placeholder="For example: npm ci"
        spellCheck={false}
        hint="Runs once in each new clone, before the agent. Left empty: what the base branch's tutti.yaml says."
      />
      <div className="stack">
        <b className="w5">Where agents run</b>
        <RadioCards
          label="Where agents run"
          value={draft.sandbox}
          onChange={(sandbox) => put({ sandbox })}
          cards={(["default", "none"] as const).map((value) => ({ value, ...sandboxTitles[value] }))}
        />
      </div>
      <FormTrouble problem={problem} />
      <div className="flex flex--wrap">
        <Button
          type="submit"
          kind="primary"
          busy={busy}
          disabledReason={limitProblem !== null ? "something cannot be so" : input === null ? "nothing is changed" : undefined}
        >
          Save
        </Button>
        {Object.keys(edits).length > 0 && (
          <Button kind="quiet" onClick={() => setEdits({})}>
            Undo the changes
          </Button>
        )}
      </div>
      <Dialog
        open={asked}
        onClose={() => setAsked(false)}
        title={
          <>
            Let agents out of the sandbox in <Plain text={project.name} />?
          </>
        }
        actions={
          <>
            <Button onClick={() => setAsked(false)}>Keep the sandbox</Button>
            <Button kind="danger" onClick={save}>
              Run without a sandbox
            </Button>
          </>
        }
      >
        <p>{sandboxTitles.none.text}</p>
        <p>It holds for every attempt that starts from now on.</p>
      </Dialog>
    </form>
  );
}
