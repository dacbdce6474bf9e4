import type { TaskView } from "../../../src/tasks/task.ts";
import { Age } from "../parts/age.tsx";
import { Ansi } from "../parts/ansi.tsx";
import { Empty } from "../parts/empty.tsx";
import { Glyph } from "../parts/glyph.tsx";
import { Ledger } from "../parts/ledger.tsx";
import { Notice } from "../parts/notice.tsx";
import { Section } from "../parts/panel.tsx";
import { Plain } from "../parts/plain.tsx";

/** Everything that decides whether the work can be merged. */
export function TaskChecks({ task: { checks, verified, result }, merge }: { task: TaskView; merge: string | null }) {
  return (
    <div className="task__pad">
      <Ledger
        rows={[
          {
            name: "verified",
            value:
              verified === null
                ? "there is no check: it is done, not verified"
                : verified
                  ? "yes, the check passed"
                  : "no, the check did not pass",
          },
          {
            name: "change",
            value:
              result === null || result.commit === null
                ? "none"
                : `${result.files.length} ${result.files.length === 1 ? "file" : "files"} in ${result.commit.slice(0, 10)}`,
          },
          {
            name: "merge",
            value: merge === null ? "nothing stands against it here; conflicts show when it is merged" : `not now: ${merge}`,
          },
        ]}
      />
      {checks.length === 0 && (
        <Empty kind="clear" title="No check has run" text="A check is a command whose success is the evidence, for example npm test." />
      )}
      {checks
        .map((check, index) => ({ ...check, number: index + 1 }))
        .toReversed()
        .map((check) => (
          <Section
            key={check.number}
            title={
              <span className="flex">
                <Glyph state={check.state === "passed" ? "done" : "failed"} label />
                <code>
                  <Plain text={check.name} />
                </code>{" "}
                {check.state}
              </span>
            }
            facts={
              <>
                try {check.number} · <Age at={check.at} /> ago
              </>
            }
          >
            {check.output === "" ? (
              <Notice>It printed nothing.</Notice>
            ) : (
              <Ansi text={check.output} numbers label={`Output of ${check.name}`} />
            )}
          </Section>
        ))}
    </div>
  );
}
