import type { ReactNode } from "react";
import type { TaskView } from "../../../src/tasks/task.ts";
import { Age } from "../parts/age.tsx";
import { Duration, Elapsed } from "../parts/duration.tsx";
import { Header } from "../parts/header.tsx";
import { Money } from "../parts/money.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { projectHref } from "../projects/project-href.ts";
import { Plain } from "../parts/plain.tsx";
import { Select } from "../parts/select.tsx";
import { Status } from "../parts/status.tsx";
import { Tokens } from "../parts/tokens.tsx";

interface TaskHeaderProps {
  task: TaskView;
  session: string | null;
  onSession: (session: string) => void;
  actions: ReactNode;
}

/** State, who, where, how long, how much: and what to do next. */
export function TaskHeader({ task, session, onSession, actions }: TaskHeaderProps) {
  const { usage, attempts } = task;
  const sessions = [...new Set(attempts.flatMap((one) => (one.session === null ? [] : [one.session])))];
  const begun = attempts[0]?.startedAt ?? null;
  return (
    <Header
      crumbs={
        task.run === null
          ? [{ label: "Board", href: projectHref("/board", task.project) }]
          : [{ label: task.run, href: `/runs/${task.run}?step=${encodeURIComponent(task.step ?? "")}` }]
      }
      id={task.id}
      title={<Plain text={task.title} />}
      beside={<Status state={task.state} reason={task.reason} verified={task.verified} look="tag" />}
      actions={actions}
      facts={
        <>
          {task.agent !== null && (
            <span title={task.why ?? undefined}>
              <Monogram name={task.agent} kind="agent" /> <Plain text={task.agent} />
            </span>
          )}
          <span>
            <Plain text={task.projectName} />
          </span>
          {typeof task.result?.branch === "string" && (
            <span className="mono">
              <Plain text={task.result.branch} />
            </span>
          )}
          <span>
            {begun === null ? (
              <>
                queued <Age at={task.createdAt} />
              </>
            ) : task.finishedAt === null ? (
              <Elapsed since={begun} />
            ) : (
              <Duration ms={task.finishedAt - begun} />
            )}
          </span>
          <span>
            <Tokens n={usage.inputTokens + usage.outputTokens} short /> tokens
          </span>
          {usage.costUsd !== null && (
            <span>
              <Money usd={usage.costUsd} /> reported
            </span>
          )}
          {attempts.length > 1 && <span>attempt {task.attempt}</span>}
          {sessions.length > 1 && session !== null && (
            <Select
              label="Session"
              labelHidden
              value={session}
              onChange={onSession}
              options={sessions.map((one) => ({ value: one, label: one }))}
            />
          )}
        </>
      }
    />
  );
}
