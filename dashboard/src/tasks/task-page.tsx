import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { isTerminal, type TaskView } from "../../../src/tasks/task.ts";
import { call, useAct } from "../api/act.ts";
import { ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { AnswerPanel } from "../approvals/answer-panel.tsx";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { Loading } from "../parts/loading.tsx";
import { Notice } from "../parts/notice.tsx";
import { Plain } from "../parts/plain.tsx";
import { Tabs } from "../parts/tabs.tsx";
import { useToast } from "../parts/toasts.tsx";
import { useKeys } from "../shell/keys.ts";
import { Composer } from "./task-composer.tsx";
import { TaskChecks } from "./task-checks.tsx";
import { TaskCost } from "./task-cost.tsx";
import { TaskDiff } from "./task-diff.tsx";
import { TaskEvents } from "./task-events.tsx";
import { TaskHeader } from "./task-header.tsx";
import { TaskWork } from "./task-work.tsx";
import { nextAction, possible } from "./task-actions.ts";
import "./task.css";
import { TranscriptView } from "./transcript/transcript.tsx";

const tabs = ["transcript", "diff", "checks", "cost", "events"] as const;
type TabName = (typeof tabs)[number];

/** What an agent did, whether it is right, what it cost, and whether it can be merged. */
export function TaskPage() {
  const { id } = useParams({ from: "/tasks/$id" });
  const { data, error, refetch } = useQuery(ask("task.get", { id }));
  if (error && !data) return <Failure error={problemOf(error)} retry={() => void refetch()} />;
  if (!data) return <Loading label="Loading the task" lines={6} />;
  return <Loaded key={id} task={data} />;
}

function Loaded({ task }: { task: TaskView }) {
  const search = useSearch({ from: "/tasks/$id" });
  const navigate = useNavigate({ from: "/tasks/$id" });
  const toast = useToast();
  const { busy, act } = useAct();
  const [stopping, setStopping] = useState(false);
  const composer = useRef<HTMLTextAreaElement>(null);
  const tab: TabName = search.tab ?? "transcript";
  const session = search.session ?? task.session;
  const can = possible(task);
  const show = (to: TabName): void =>
    void navigate({ search: (now) => ({ ...now, tab: to === "transcript" ? undefined : to }), replace: true });
  const retry = (): void => act(() => call("task.retry", { id: task.id }));
  const merge = (): void =>
    act(async () => {
      const merging = await call("task.merge", { id: task.id });
      toast.show({
        title: `Merging in ${merging.id}`,
        state: "running",
        action: { label: "Show", act: () => void navigate({ to: "/tasks/$id", params: { id: merging.id } }) },
      });
    });
  useKeys([
    ...tabs.map((name, index) => ({ keys: String(index + 1), label: name, quiet: true, run: () => show(name) })),
    { keys: "d", label: "diff", run: () => show("diff") },
    { keys: "l", label: "transcript", run: () => show("transcript") },
    ...(can.retry === null ? [{ keys: "R", label: "retry", run: retry }] : []),
    ...(can.merge === null ? [{ keys: "M", label: "merge", run: merge }] : []),
    ...(can.stop === null ? [{ keys: "S", label: "stop", run: () => setStopping(true) }] : []),
    ...(task.approvals.length === 0 ? [{ keys: "r", label: "reply", run: () => composer.current?.focus() }] : []),
  ]);
  const [first] = task.approvals;
  const next = nextAction(task);
  return (
    <div className="page">
      <TaskHeader
        task={task}
        session={session}
        onSession={(to) => void navigate({ search: (now) => ({ ...now, session: to }), replace: true })}
        actions={
          <>
            {next === "retry" && (
              <Button kind="primary" keys="R" busy={busy} onClick={retry}>
                Retry
              </Button>
            )}
            {task.kind === "agent" && next !== "retry" && (
              <Button kind={next === "merge" ? "primary" : "plain"} keys="M" busy={busy} disabledReason={can.merge} onClick={merge}>
                Merge
              </Button>
            )}
            {!isTerminal(task.state) && (
              <Button kind="danger" keys="S" busy={busy} onClick={() => setStopping(true)}>
                Stop
              </Button>
            )}
          </>
        }
      />
      {task.message !== null && (
        <Notice kind={task.state === "failed" ? "fail" : "warn"} wide title={task.reason ?? task.state}>
          <Plain text={task.message} />
        </Notice>
      )}
      {typeof task.result?.note === "string" && (
        <Notice kind={task.result.commit === null ? "info" : "warn"} wide>
          <Plain text={task.result.note} />
        </Notice>
      )}
      <div className="task">
        {first !== undefined && (
          <section className="task__ask" aria-label="Needs you">
            <AnswerPanel key={first} id={first} />
          </section>
        )}
        <Tabs
          label="About the task"
          value={tab}
          onChange={show}
          tabs={[
            {
              value: "transcript",
              title: task.kind === "agent" ? "Transcript" : "Work",
              count: task.usage.turns > 0 ? task.usage.turns : undefined,
              content:
                // A merge says nothing: what it merges is its work.
                session === null || task.kind === "merge" ? (
                  <TaskWork task={task} />
                ) : (
                  <TranscriptView key={session} session={session} agent={task.agent ?? task.kind} />
                ),
            },
            { value: "diff", title: "Diff", count: task.result?.files.length, content: <TaskDiff task={task} /> },
            {
              value: "checks",
              title: "Checks",
              count: task.checks.length > 0 ? task.checks.length : undefined,
              content: <TaskChecks task={task} merge={can.merge} />,
            },
            { value: "cost", title: "Cost", content: <TaskCost task={task} /> },
            { value: "events", title: "Events", content: <TaskEvents id={task.id} /> },
          ]}
        />
        {task.kind === "agent" && task.approvals.length === 0 && <Composer task={task.id} reason={can.reply} field={composer} />}
      </div>
      <Dialog
        open={stopping}
        onClose={() => setStopping(false)}
        title={`Stop ${task.id}?`}
        actions={
          <>
            <Button onClick={() => setStopping(false)}>Go on</Button>
            <Button
              kind="danger"
              onClick={() => {
                setStopping(false);
                act(() => call("task.stop", { id: task.id }));
              }}
            >
              Stop the task
            </Button>
          </>
        }
      >
        <p>Its processes are ended. What it has changed so far is kept.</p>
      </Dialog>
    </div>
  );
}
