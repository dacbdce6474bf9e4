import { useState } from "react";
import { client } from "../api/client.ts";
import { problemOf, type Problem } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Notice } from "../parts/notice.tsx";
import { Select } from "../parts/select.tsx";
import { TextArea } from "../parts/text-area.tsx";
import { useToast } from "../parts/toasts.tsx";
import { useKeys } from "../shell/keys.ts";
import { readLines, type TaskLine } from "./board-lines.ts";

/** One line for each task; many can be pasted. What was made is not made again when the rest is tried once more. */
export function AddTasks({
  projects,
  project,
  onClose,
}: {
  projects: readonly { id: string; name: string }[];
  project?: string;
  onClose: () => void;
}) {
  const toast = useToast();
  const [text, setText] = useState("");
  const [to, setTo] = useState(project ?? projects[0]?.id ?? "");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  // The same line in the same dialog is the same request.
  const [keys] = useState(new Map<string, string>());
  const { tasks, problems } = readLines(text);
  const create = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    const rest = [...tasks];
    try {
      for (let line = rest[0]; line; line = rest[0]) {
        await client.command("task.create", inputOf(line, to), { key: keyOf(keys, line, tasks.length - rest.length) });
        rest.shift();
      }
      toast.show({ title: `${tasks.length} ${tasks.length === 1 ? "task" : "tasks"} queued`, state: "queued" });
      onClose();
    } catch (error) {
      setProblem(problemOf(error));
    } finally {
      setBusy(false);
    }
  };
  const able = tasks.length > 0 && problems.length === 0 && to !== "";
  useKeys([{ keys: "mod+enter", label: "create", typing: true, quiet: true, run: () => able && !busy && void create() }]);
  return (
    <Dialog
      open
      onClose={onClose}
      title="Add tasks"
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind="primary"
            keys="mod+Enter"
            busy={busy}
            disabledReason={able ? undefined : problems.length > 0 ? "a line cannot be read" : "nothing is written"}
            onClick={() => void create()}
          >
            Queue {tasks.length > 1 ? `${tasks.length} tasks` : "the task"}
          </Button>
        </>
      }
    >
      <Select label="Project" value={to} onChange={setTo} options={projects.map(({ id, name }) => ({ value: id, label: name }))} />
      <TextArea label="One task in a line" hint="@agent says who, !5 how urgent" rows={6} value={text} onChange={setText} autoFocus />
      {problems.map(({ line, message }) => (
        <Notice key={line} kind="warn">
          Line {line}: {message}
        </Notice>
      ))}
      {problem && <Failure error={problem} />}
    </Dialog>
  );
}

const inputOf = ({ prompt, agent, priority }: TaskLine, project: string) => ({
  project,
  prompt,
  priority,
  ...(agent === null ? {} : { agent }),
});

function keyOf(keys: Map<string, string>, line: TaskLine, index: number): string {
  const name = JSON.stringify([index, line]);
  const key = keys.get(name) ?? crypto.randomUUID();
  keys.set(name, key);
  return key;
}
