import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { isTerminal } from "../../../src/tasks/task.ts";
import { call, useAct } from "../api/act.ts";
import { type AnswerOf, ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Age } from "../parts/age.tsx";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Duration, Elapsed } from "../parts/duration.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Header } from "../parts/header.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { Money } from "../parts/money.tsx";
import { Notice } from "../parts/notice.tsx";
import { usePhone } from "../parts/phone.ts";
import { Plain } from "../parts/plain.tsx";
import { Segments } from "../parts/segments.tsx";
import { Split } from "../parts/split.tsx";
import { Status } from "../parts/status.tsx";
import { Tokens } from "../parts/tokens.tsx";
import { projectHref } from "../projects/project-href.ts";
import { useKeys } from "../shell/keys.ts";
import "./run.css";
import { firstToSee, type StepCard, type StepRow, stepRows } from "./step-rows.ts";
import { StepPane } from "./step-pane.tsx";
import { StepTable } from "./step-table.tsx";
import { Timeline } from "./timeline.tsx";
import { useSteps } from "./use-steps.ts";

type Run = AnswerOf<"run.get">;

/** One run: which step is the problem, and was it slow, waiting or wrong. */
export function RunPage() {
  const { id } = useParams({ from: "/runs/$id" });
  const { data, error, refetch } = useQuery(ask("run.get", { id }));
  if (error && !data) return <Failure error={problemOf(error)} retry={() => void refetch()} />;
  if (!data) return <Loading label="Loading the run" lines={6} />;
  return <Loaded run={data} />;
}

function Loaded({ run }: { run: Run }) {
  const search = useSearch({ from: "/runs/$id" });
  const navigate = useNavigate({ from: "/runs/$id" });
  // A phone shows the steps or one of them: what asks comes first, and a fault stands above both.
  const phone = usePhone();
  const { steps, items, toggle, error, refetch } = useSteps(run.id);
  const view = search.view ?? "timeline";
  const rows = stepRows(steps ?? [], items);
  const all = rows.map(({ step }) => step);
  // The failed item of a group is named by the run itself, also before its group is open.
  const first = all.find(({ id }) => id === run.firstFailure?.step) ?? firstToSee(all);
  const selected =
    all.find(({ id }) => id === search.step) ?? (search.step === undefined && (!phone || first?.state === "needs you") ? first : null);
  const select = (step: string | undefined): void => void navigate({ search: (now) => ({ ...now, step }), replace: true });
  const show = (to: "timeline" | "table"): void =>
    void navigate({ search: (now) => ({ ...now, view: to === "timeline" ? undefined : to }), replace: true });
  const move = (by: 1 | -1): void => {
    const at = all.findIndex(({ id }) => id === selected?.id);
    select(all[Math.min(all.length - 1, Math.max(0, at + by))]?.id);
  };
  const fold = (open: boolean): void => {
    const row = rows.find(({ step }) => step.id === selected?.id);
    if (row?.open === !open) toggle(row.step.id, open);
  };
  const over = isTerminal(run.state);
  const [stopping, setStopping] = useState(false);
  const { busy, act } = useAct();
  const retry = (): void =>
    act(
      () => call("run.retry", { id: run.id }),
      () => select(undefined),
    );
  const open = (): void => {
    if (selected?.task) void navigate({ to: "/tasks/$id", params: { id: selected.task } });
  };
  useKeys([
    { keys: "f", label: "first failure", run: () => select(run.firstFailure?.step ?? first?.id) },
    { keys: "j", label: "next step", run: () => move(1) },
    { keys: "k", label: "previous step", run: () => move(-1) },
    { keys: "ArrowRight", label: "unfold", quiet: true, run: () => fold(true) },
    { keys: "ArrowLeft", label: "fold", quiet: true, run: () => fold(false) },
    { keys: "Enter", label: "open the task", run: open },
    { keys: "t", label: "timeline or table", run: () => show(view === "timeline" ? "table" : "timeline") },
    ...(run.state === "failed" || run.state === "cancelled" ? [{ keys: "R", label: "retry", run: retry }] : []),
    ...(over ? [] : [{ keys: "s", label: "stop", run: () => setStopping(true) }]),
  ]);
  return (
    <div className="page">
      <Header
        crumbs={[{ label: "Runs", href: "/runs" }]}
        id={run.id}
        title={<Plain text={run.flow} />}
        beside={<Status state={run.state} reason={run.reason} look="tag" />}
        facts={
          <>
            <Link href={projectHref("/board", run.project)}>
              <Plain text={run.projectName} />
            </Link>
            <span>
              started <Age at={run.createdAt} /> ago
            </span>
            <span>{run.finishedAt === null ? <Elapsed since={run.createdAt} /> : <Duration ms={run.finishedAt - run.createdAt} />}</span>
            <span>
              <Tokens n={run.tokens} short /> tokens
            </span>
            {run.costUsd !== null && (
              <span>
                <Money usd={run.costUsd} /> reported
              </span>
            )}
          </>
        }
        actions={
          <>
            <Segments
              label="View"
              value={view}
              onChange={show}
              segments={[
                { value: "timeline", title: "Timeline" },
                { value: "table", title: "Table" },
              ]}
            />
            {!over && (
              <Button kind="danger" keys="s" busy={busy} onClick={() => setStopping(true)}>
                Stop run
              </Button>
            )}
          </>
        }
      />
      <Fault run={run} busy={busy} onRetry={retry} onShow={select} />
      {error && steps === null ? (
        <Failure error={problemOf(error)} retry={refetch} />
      ) : steps === null ? (
        <Loading label="Loading the steps" lines={6} />
      ) : (
        <Split
          name="run"
          sized="second"
          width={420}
          label="Width of the step's details"
          first={<Steps run={run} view={view} rows={rows} selected={selected} select={select} toggle={toggle} />}
          second={selected ? <StepPane key={selected.id} run={run.id} step={selected} onClose={() => select("")} /> : null}
        />
      )}
      <Dialog
        open={stopping}
        onClose={() => setStopping(false)}
        title={`Stop ${run.id}?`}
        actions={
          <>
            <Button onClick={() => setStopping(false)}>Go on</Button>
            <Button
              kind="danger"
              onClick={() => {
                setStopping(false);
                act(() => call("run.stop", { id: run.id }));
              }}
            >
              Stop run
            </Button>
          </>
        }
      >
        <p>Nothing new starts, what runs is ended. What was done stays, and the run can be retried.</p>
      </Dialog>
    </div>
  );
}

interface StepsProps {
  run: Run;
  view: "timeline" | "table";
  rows: readonly StepRow[];
  selected: StepCard | null;
  select: (step: string) => void;
  toggle: (group: string, open: boolean) => void;
}

function Steps({ run, view, rows, selected, select, toggle }: StepsProps) {
  if (rows.length === 0)
    return <Empty kind="clear" title="Not started" text={run.reason === null ? "No step has begun yet." : `Waits: ${run.reason}.`} />;
  return view === "table" ? (
    <StepTable rows={rows} selected={selected?.id ?? null} onSelect={select} />
  ) : (
    <Timeline running={!isTerminal(run.state)} rows={rows} selected={selected?.id ?? null} onSelect={select} onToggle={toggle} />
  );
}

/** What went wrong or waits, above everything else, and the one thing to do about it. */
function Fault({ run, busy, onRetry, onShow }: { run: Run; busy: boolean; onRetry: () => void; onShow: (step: string) => void }) {
  const { firstFailure: failure } = run;
  if (failure === null) {
    if (run.message === null || run.state === "done") return null;
    return (
      <Notice kind={run.state === "failed" ? "fail" : "warn"} wide title={<Plain text={run.reason ?? run.state} />}>
        <Plain text={run.message} />
      </Notice>
    );
  }
  const over = run.state === "failed" || run.state === "cancelled";
  return (
    <Notice
      kind="fail"
      wide
      title={
        <>
          <Plain text={failure.step} />: {failure.reason ?? "failed"}
        </>
      }
      action={
        <>
          {over && (
            <Button kind="primary" keys="R" busy={busy} onClick={onRetry}>
              Retry what failed
            </Button>
          )}
          {failure.task !== null ? (
            <Link className="btn btn--plain" href={`/tasks/${failure.task}`}>
              Open {failure.task}
            </Link>
          ) : (
            <Button onClick={() => onShow(failure.step)}>Show the step</Button>
          )}
        </>
      }
    >
      {failure.message !== null && <Plain text={failure.message} />}
      {!over && " The run goes on with what does not need it."}
    </Notice>
  );
}
