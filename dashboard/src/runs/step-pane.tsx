import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { textOf } from "../approvals/read-action.ts";
import { AnswerPanel } from "../approvals/answer-panel.tsx";
import { ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { CodeBlock } from "../parts/code-block.tsx";
import { Duration, Elapsed } from "../parts/duration.tsx";
import { Failure } from "../parts/failure.tsx";
import { IconButton } from "../parts/icon-button.tsx";
import { Ledger, type LedgerRow } from "../parts/ledger.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { Markdown } from "../parts/markdown.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { Notice } from "../parts/notice.tsx";
import { Section } from "../parts/panel.tsx";
import { Plain } from "../parts/plain.tsx";
import { Status } from "../parts/status.tsx";
import { Tokens } from "../parts/tokens.tsx";
import type { StepCard } from "./step-rows.ts";

/** One step: what went wrong, what it was given, what it gave, and where the whole of it is. */
export function StepPane({ run, step, onClose }: { run: string; step: StepCard; onClose: () => void }) {
  return (
    <section className="pane pane--surface" aria-label={`Step ${step.id}`}>
      <header className="pane__head">
        <Status state={step.state} reason={step.reason} verified={step.verified} />
        <h2 className="clip">
          <Plain text={step.id} />
        </h2>
        <span className="push">
          <IconButton icon={X} label="Close" onClick={onClose} />
        </span>
      </header>
      <div className="pane__body">
        {step.message !== null && (
          <Notice kind={step.state === "failed" ? "fail" : "info"}>
            <Plain text={step.message} />
          </Notice>
        )}
        <Ledger rows={factsOf(step)} />
        {step.approval !== null && <AnswerPanel id={step.approval} />}
        {step.task !== null && <Work task={step.task} />}
        {step.task === null && step.approval === null && step.group === null && <p className="t2">Run {run} has not started it.</p>}
      </div>
    </section>
  );
}

function factsOf(step: StepCard): LedgerRow[] {
  const rows: LedgerRow[] = [{ name: "kind", value: step.kind }];
  if (step.agent !== null) {
    rows.push({
      name: "agent",
      value: (
        <span className="flex">
          <Monogram name={step.agent} kind="agent" /> <Plain text={step.agent} />
        </span>
      ),
    });
  }
  if (step.task !== null)
    rows.push({ name: "task", value: <Link href={`/tasks/${step.task}`}>{step.task}: the conversation, the diff, the checks</Link> });
  if (step.group !== null)
    rows.push({
      name: "items",
      value: `${step.group.wanted}: ${step.group.done} done, ${step.group.failed} failed, ${step.group.cancelled} cancelled`,
    });
  if (step.queuedAt !== null && step.startedAt !== null)
    rows.push({ name: "queued", value: <Duration ms={Math.max(0, step.startedAt - step.queuedAt)} /> });
  if (step.startedAt !== null)
    rows.push({
      name: "ran",
      value: step.finishedAt === null ? <Elapsed since={step.startedAt} /> : <Duration ms={step.finishedAt - step.startedAt} />,
    });
  if (step.waitedForPersonMs > 0) rows.push({ name: "for a person", value: <Duration ms={step.waitedForPersonMs} /> });
  if (step.tokens > 0) rows.push({ name: "tokens", value: <Tokens n={step.tokens} /> });
  return rows;
}

/** What its task was given and gave. */
function Work({ task }: { task: string }) {
  const { data, error, refetch } = useQuery(ask("task.get", { id: task }));
  if (error && !data) return <Failure error={problemOf(error)} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  const { spec, result, attempts } = data;
  const input =
    spec.kind === "agent"
      ? spec.prompt
      : spec.kind === "run"
        ? textOf(spec.run)
        : spec.sources.map(({ step, title }) => `${step}: ${title}`).join("\n");
  return (
    <>
      {result !== null && result.output !== null && result.output !== undefined && (
        <Section title="Output">
          {typeof result.output === "string" ? <Markdown text={result.output} /> : <CodeBlock title="JSON" text={textOf(result.output)} />}
        </Section>
      )}
      {result !== null && result.files.length > 0 && (
        <Section title="Changed" facts={`${result.files.length} files`}>
          <ul className="files">
            {result.files.slice(0, 50).map((file) => (
              <li key={file} className="mono">
                <Plain text={file} />
              </li>
            ))}
          </ul>
        </Section>
      )}
      {typeof result?.note === "string" && (
        <Notice kind="warn">
          <Plain text={result.note} />
        </Notice>
      )}
      <Section title={spec.kind === "agent" ? "Prompt" : "Input"}>
        {spec.kind === "agent" ? <Markdown text={input} /> : <CodeBlock title={spec.kind} text={input} />}
      </Section>
      {attempts.length > 1 && (
        <Section title="Attempts" facts={attempts.length}>
          <ul className="files">
            {attempts.map((attempt) => (
              <li key={attempt.attempt} className="flex">
                <span className="num">{attempt.attempt}</span>
                <Status state={attempt.state} reason={attempt.reason} />
                <span className="clip t2">
                  <Plain text={attempt.message ?? ""} />
                </span>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}
