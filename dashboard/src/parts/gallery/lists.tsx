import { useState } from "react";
import { Age } from "../age.tsx";
import { CodeBlock } from "../code-block.tsx";
import { List, type ListGroup, RowLines } from "../list.tsx";
import { Notice } from "../notice.tsx";
import { Plain } from "../plain.tsx";
import { hostileName } from "../samples.ts";
import { Split } from "../split.tsx";
import { type AnyState, loudestFirst } from "../state-look.ts";
import { Status } from "../status.tsx";
import { Tag } from "../tag.tsx";
import { Part } from "./part.tsx";

interface Waiting {
  id: string;
  title: string;
  what: string;
  who: string;
  where: string;
  at: number;
  state: AnyState;
  group: ListGroup;
  mono?: boolean;
  risk?: boolean;
  gone?: boolean;
}

const now = Date.now();
const blocked = { key: "blocked", title: "Blocked now", count: 3, note: "oldest 14 min" };
const failed = { key: "failed", title: "Failed", count: 2 };
const waiting: Waiting[] = [
  {
    id: "A-1",
    title: 'psql "$STAGING_DATABASE_URL" --file migrations/0042_idempotency_key.sql',
    what: "shell command",
    who: "fixer-12",
    where: "storefront",
    at: now - 840_000,
    state: "needs you",
    group: blocked,
    mono: true,
    risk: true,
  },
  {
    id: "A-2",
    title: "Keep the old price column for one release?",
    what: "question, 3 choices",
    who: "migrator-02",
    where: "billing",
    at: now - 540_000,
    state: "needs you",
    group: blocked,
  },
  { id: "A-3", title: hostileName, what: "plan", who: "planner-01", where: "search", at: now - 30_000, state: "needs you", group: blocked },
  {
    id: "A-4",
    title: "R-2214 fix-bugs: step fix #7, check failed 3 times",
    what: "run",
    who: "fixer-19",
    where: "storefront",
    at: now - 180_000,
    state: "failed",
    group: failed,
  },
  {
    id: "A-5",
    title: "curl -fsS localhost:8080/health",
    what: "approved by Jonas on phone",
    who: "09:38",
    where: "platform",
    at: now - 420_000,
    state: "done",
    group: failed,
    gone: true,
  },
];

export const many = Array.from({ length: 1_000 }, (_, index) => ({
  id: `T-${index + 1}`,
  state: loudestFirst[index % 8] ?? "queued",
  at: now - index * 37_000,
  cost: index / 100,
}));

export const idOf = ({ id }: { id: string }) => id;

const tenOf = ({ id }: { id: string }): ListGroup => {
  const hundred = Math.floor(Number(id.slice(2)) / 100);
  return { key: String(hundred), title: `from T-${hundred * 100}` };
};
const groupOf = ({ group }: Waiting) => group;

/** A short list with its detail, and a long one. */
export function Lists() {
  const [selected, select] = useState<string>("A-1");
  const [task, setTask] = useState<string>("T-3");
  return (
    <>
      <Part title="List and detail" text="One row everywhere; the line between the panes moves. Somebody else's answers turn grey." wide>
        <div className="gallery__frame">
          <Split
            name="gallery"
            width={400}
            first={
              <List
                label="Waiting for you"
                items={waiting}
                keyOf={idOf}
                groupOf={groupOf}
                tone={(item) => (item.gone === true ? "gone" : item.state === "failed" ? "quiet" : undefined)}
                selected={selected}
                onSelect={select}
                letters
                updates={2}
                row={(item) => (
                  <RowLines
                    state={item.state}
                    title={<Plain text={item.title} />}
                    mono={item.mono}
                    age={<Age at={item.at} />}
                    facts={[item.what, item.who, item.where]}
                    end={item.risk === true && <Tag high>high risk</Tag>}
                  />
                )}
              />
            }
            second={
              <section className="pane pane--surface" aria-label="Peek">
                <div className="pane__head pane__head--tall">
                  <Status state="needs you" look="tag" /> <b>{selected}</b>
                </div>
                <div className="peek">
                  <Notice kind="fail" title="High risk.">
                    Changes a shared database outside the workspace. Tutti cannot undo it.
                  </Notice>
                  <CodeBlock
                    title="Exact command"
                    facts="~/w/T-1492"
                    text={'psql "$STAGING_DATABASE_URL" \\\n  --single-transaction \\\n  --file migrations/0042.sql'}
                  />
                </div>
              </section>
            }
          />
        </div>
      </Part>
      <Part title="Long list" text="1,000 rows, of which only those in sight are drawn.">
        <div className="gallery__frame">
          <List
            label="Tasks"
            items={many}
            keyOf={idOf}
            groupOf={tenOf}
            selected={task}
            onSelect={setTask}
            letters
            row={(item) => (
              <RowLines
                state={item.state}
                title={`${item.id} rank exact product codes first`}
                age={<Age at={item.at} />}
                facts={["bencher-04", "search"]}
              />
            )}
          />
        </div>
      </Part>
    </>
  );
}
