import type { TaskView } from "../../../src/tasks/task.ts";
import { textOf } from "../approvals/read-action.ts";
import { Ansi } from "../parts/ansi.tsx";
import { CodeBlock } from "../parts/code-block.tsx";
import { Empty } from "../parts/empty.tsx";
import { Markdown } from "../parts/markdown.tsx";
import { Section } from "../parts/panel.tsx";
import { Plain } from "../parts/plain.tsx";
import { Link } from "../parts/link.tsx";

/** The work of a task that is no conversation, or that has not begun. */
export function TaskWork({ task: { spec, result, state, reason } }: { task: TaskView }) {
  return (
    <div className="task__pad">
      {spec.kind === "agent" && (
        <Section title="Prompt">
          <Markdown text={spec.prompt} />
        </Section>
      )}
      {spec.kind === "run" && (
        <CodeBlock
          title="Command"
          text={typeof spec.run === "string" ? spec.run : spec.run.map((word) => JSON.stringify(word)).join(" ")}
        />
      )}
      {spec.kind === "merge" && (
        <Section title="Merges" facts={spec.into ?? "the base branch"}>
          <ul className="files">
            {spec.sources.map(({ step, title, commit }) => (
              <li key={step} className="flex">
                {step.startsWith("task/") ? <Link href={`/tasks/${step.slice(5)}`}>{step.slice(5)}</Link> : <Plain text={step} />}
                <span className="clip">
                  <Plain text={title} />
                </span>
                <code className="push">{commit.slice(0, 10)}</code>
              </li>
            ))}
          </ul>
        </Section>
      )}
      {result?.output !== undefined && result.output !== null ? (
        <Section title="Output">
          {typeof result.output === "string" ? (
            <Ansi text={result.output} numbers />
          ) : (
            <CodeBlock title="JSON" text={textOf(result.output)} />
          )}
        </Section>
      ) : (
        <Empty
          kind="clear"
          title={state === "queued" ? "Not begun" : "No output"}
          text={reason === null ? undefined : `Because: ${reason}.`}
        />
      )}
    </div>
  );
}
