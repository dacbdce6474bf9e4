import { ChevronLeft, ChevronRight, X } from "lucide-react";
import type { ReactNode } from "react";
import type { InboxItem } from "../../../src/inbox/inbox.ts";
import { call, useAct } from "../api/act.ts";
import { AnswerPanel } from "../approvals/answer-panel.tsx";
import { Age } from "../parts/age.tsx";
import { Button } from "../parts/button.tsx";
import { IconButton } from "../parts/icon-button.tsx";
import { Link } from "../parts/link.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { Notice } from "../parts/notice.tsx";
import { Plain } from "../parts/plain.tsx";
import { Status } from "../parts/status.tsx";
import { useToast } from "../parts/toasts.tsx";
import { useKeys } from "../shell/keys.ts";
import { leadsTo, stateOf } from "./item-look.ts";
import { Review } from "./review.tsx";

interface PeekProps {
  item: InboxItem;
  gone: boolean;
  position: string;
  onStep: (step: 1 | -1) => void;
  onClose: () => void;
  onAnswered: () => void;
  onMark: (mark: "done" | "snoozed") => void;
}

/** One item, so far that it can be judged and answered here. */
export function Peek(props: PeekProps) {
  const { item, gone, position, onStep, onClose } = props;
  return (
    <section className="pane" aria-label="The chosen item">
      <header className="pane__head">
        <Status state={gone ? "done" : stateOf(item)} look="tag" />
        <h2 className="clip">{item.kind}</h2>
        <span className="push flex">
          <span className="t3 num">{position}</span>
          <IconButton icon={ChevronLeft} label="Previous item" onClick={() => onStep(-1)} />
          <IconButton icon={ChevronRight} label="Next item" onClick={() => onStep(1)} />
          <IconButton icon={X} label="Close" onClick={onClose} />
        </span>
      </header>
      <div className="pane__body">
        <Facts item={item} />
        {gone && <Notice title="Resolved elsewhere.">It leaves the list when you turn to another item.</Notice>}
        <Body {...props} />
      </div>
    </section>
  );
}

function Facts({ item: { agent, task, run, projectName, since, reason } }: { item: InboxItem }) {
  return (
    <p className="facts">
      {agent !== null && (
        <span className="flex">
          <Monogram name={agent} kind="agent" /> <b>{agent}</b>
        </span>
      )}
      {task !== null && <Link href={`/tasks/${task}`}>{task}</Link>}
      {run !== null && <Link href={`/runs/${run}`}>{run}</Link>}
      <span>
        <Plain text={projectName} />
      </span>
      {reason !== null && <span className="t2">{reason}</span>}
      <span className="t2">
        waiting <Age at={since} />
      </span>
    </p>
  );
}

function Body({ item, gone, onAnswered, onMark }: PeekProps): ReactNode {
  if (item.approval !== null)
    return (
      <>
        <AnswerPanel id={item.approval} folded={item.folded} risk={item.risk} risks={item.risks} onAnswered={onAnswered} />
        <Later gone={gone} onMark={onMark} />
      </>
    );
  return (
    <>
      <h3 className="answer__question">
        <Plain text={item.title} />
      </h3>
      {item.message !== null && (
        <Notice kind={item.group === "failed" ? "fail" : "warn"}>
          <Plain text={item.message} />
        </Notice>
      )}
      {item.group === "review" && item.task !== null && <Review task={item.task} />}
      <Next item={item} gone={gone} onMark={onMark} onAnswered={onAnswered} />
    </>
  );
}

/** What can be done about what is no question. */
function Next({ item, gone, onMark, onAnswered }: Pick<PeekProps, "item" | "gone" | "onMark" | "onAnswered">) {
  const { busy, act } = useAct();
  const toast = useToast();
  const { task, run, group, kind } = item;
  const retry = (): void =>
    act(
      () => (kind === "failed run" && run !== null ? call("run.retry", { id: run }) : call("task.retry", { id: task ?? "" })),
      onAnswered,
    );
  const merge = (): void =>
    act(async () => {
      const merging = await call("task.merge", { id: task ?? "" });
      toast.show({ title: `Merging in ${merging.id}`, state: "running" });
    }, onAnswered);
  const primary = group === "review" ? { keys: "m", label: "Merge", run: merge } : { keys: "R", label: "Retry", run: retry };
  useKeys(gone ? [] : [primary]);
  const to = leadsTo(item);
  return (
    <div className="answer__act">
      {!gone && (
        <Button kind="primary" large keys={primary.keys} busy={busy} onClick={primary.run}>
          {primary.label}
        </Button>
      )}
      {to !== null && (
        <Link className="btn btn--plain btn--lg" href={to}>
          Open {kind === "failed run" ? run : task}
        </Link>
      )}
      <Later gone={gone} onMark={onMark} />
    </div>
  );
}

function Later({ gone, onMark }: Pick<PeekProps, "gone" | "onMark">) {
  if (gone) return null;
  return (
    <span className="flex">
      <Button kind="quiet" keys="z" onClick={() => onMark("snoozed")}>
        Snooze an hour
      </Button>
      <Button kind="quiet" keys="e" onClick={() => onMark("done")}>
        Done
      </Button>
    </span>
  );
}
