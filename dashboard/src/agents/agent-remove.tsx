import { call } from "../api/act.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Plain } from "../parts/plain.tsx";
import { useToast } from "../parts/toasts.tsx";
import { FormTrouble } from "./form-trouble.tsx";
import { useSend } from "./use-send.ts";

/** Asks before an agent is removed. */
export function AgentRemove({ name, onCancel, onRemoved }: { name: string; onCancel: () => void; onRemoved: () => void }) {
  const toast = useToast();
  const { busy, problem, send } = useSend();
  const remove = (): void =>
    send(
      () => call("agent.remove", { name }),
      () => {
        toast.show({ title: `${name} is removed` });
        onRemoved();
      },
    );
  return (
    <Dialog
      open
      onClose={onCancel}
      title={
        <>
          Remove <Plain text={name} />?
        </>
      }
      actions={
        <>
          <Button onClick={onCancel}>Keep it</Button>
          <Button kind="danger" busy={busy} onClick={remove}>
            Remove the agent
          </Button>
        </>
      }
    >
      <p>
        What it did stays. The program on this machine stays too; the demo, and programs that are found, come back as agents at the server's
        next start.
      </p>
      <FormTrouble problem={problem} />
    </Dialog>
  );
}
