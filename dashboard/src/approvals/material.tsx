import { lazy, Suspense } from "react";
import type { Approval } from "../../../src/approvals/approval.ts";
import { CodeBlock } from "../parts/code-block.tsx";
import { Loading } from "../parts/loading.tsx";
import { Plain } from "../parts/plain.tsx";
import { Section } from "../parts/panel.tsx";
import { readAction, textOf } from "./read-action.ts";

/** Only a flow's questions have text that was written to be read, so the first screen does without what lays it out. */
const Markdown = lazy(async () => ({ default: (await import("../parts/markdown.tsx")).Markdown }));

/** What is to be judged: for a permission the raw action, for a flow's question what the flow shows. */
export function Material({ approval }: { approval: Approval }) {
  return approval.kind === "permission" ? <Action action={approval.action} /> : <Shown shown={approval.action} />;
}

function Action({ action }: { action: unknown }) {
  const { command, rest } = readAction(action);
  const short = rest.filter(({ text }) => text.length <= 200 && !text.includes("\n"));
  const long = rest.filter((field) => !short.includes(field));
  return (
    <>
      {command !== null && <CodeBlock title="Exact command" text={command} />}
      {long.map(({ name, text }) => (
        <CodeBlock key={name} title={<Plain text={name} />} text={text} />
      ))}
      {short.length > 0 && (
        <dl className="ledger">
          {short.map(({ name, text }) => (
            <div key={name}>
              <dt>
                <Plain text={name} />
              </dt>
              <dd className="ledger__wide mono">
                <Plain text={text} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </>
  );
}

/** Text was written to be read; the other values are shown as what they are. */
function Shown({ shown }: { shown: unknown }) {
  const fields =
    typeof shown === "object" && shown !== null && !Array.isArray(shown)
      ? Object.entries(shown as Record<string, unknown>)
      : [["shown", shown] as const];
  return fields.map(([name, value]) => (
    <Section key={name} title={<Plain text={name} />}>
      {typeof value === "string" ? (
        <Suspense fallback={<Loading />}>
          <Markdown text={value} />
        </Suspense>
      ) : (
        <CodeBlock title={<Plain text={name} />} text={textOf(value)} />
      )}
    </Section>
  ));
}
