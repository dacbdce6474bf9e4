import { useState } from "react";
import { FormTrouble } from "../agents/form-trouble.tsx";
import { useSend } from "../agents/use-send.ts";
import { call } from "../api/act.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { TextField } from "../parts/text-field.tsx";
import { useToast } from "../parts/toasts.tsx";
import { useKeys } from "../shell/keys.ts";

/** Makes a project of a folder of the server's machine. A folder that is one already is opened. */
export function ProjectAdd({ onClose, onAdded }: { onClose: () => void; onAdded: (id: string) => void }) {
  const toast = useToast();
  const { busy, problem, send } = useSend();
  const [folder, setFolder] = useState("");
  const [name, setName] = useState("");
  const able = folder.trim() !== "";
  const add = (): void => {
    if (!able) return;
    send(
      () => call("project.create", { folder: folder.trim(), ...(name.trim() === "" ? {} : { name: name.trim() }) }),
      (project) => {
        toast.show({ title: `${project.name} is a project`, text: `Work returns to ${project.baseBranch}.` });
        onAdded(project.id);
      },
    );
  };
  useKeys([{ keys: "mod+enter", label: "add", typing: true, quiet: true, run: add }]);
  return (
    <Dialog
      open
      onClose={onClose}
      title="Add a project"
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" keys="mod+Enter" busy={busy} disabledReason={able ? undefined : "no folder is written"} onClick={add}>
            Add the project
          </Button>
        </>
      }
    >
      <TextField
        label="Folder"
        mono
        value={folder}
        onChange={setFolder}
        placeholder="/path/to/storefront"
        hint="The whole path of a folder with a git repository, on the server's machine. Agents never work in it, but in clones of it."
        spellCheck={false}
        autoFocus
        maxLength={4096}
      />
      <TextField label="Name" value={name} onChange={setName} hint="Left empty: the folder's own." maxLength={100} />
      <FormTrouble problem={problem} />
    </Dialog>
  );
}
