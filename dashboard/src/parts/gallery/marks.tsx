import { Age } from "../age.tsx";
import { Beam } from "../beam.tsx";
import { Mark, Wordmark } from "../brand.tsx";
import { Chip } from "../chip.tsx";
import { Connection } from "../connection.tsx";
import { Duration, Elapsed } from "../duration.tsx";
import { Keycap } from "../keycap.tsx";
import { Ledger } from "../ledger.tsx";
import { Meter } from "../meter.tsx";
import { Money } from "../money.tsx";
import { Monogram } from "../monogram.tsx";
import { NeedsPill } from "../needs-pill.tsx";
import { Spark } from "../spark.tsx";
import { type AnyState, loudestFirst } from "../state-look.ts";
import { Status } from "../status.tsx";
import { Tag } from "../tag.tsx";
import { Tokens } from "../tokens.tsx";
import { Part } from "./part.tsx";

const reasons: Partial<Record<AnyState, string>> = {
  queued: "no capacity",
  starting: "cloning",
  "needs you": "approval",
  paused: "quota",
  failed: "check failed",
  cancelled: "person",
  skipped: "condition",
};

export const storefront = { "needs you": 5, failed: 1, running: 194, starting: 8, queued: 40, paused: 6, done: 33, cancelled: 2 };

/** The mark, states, beams, people and agents, counts and keys. */
export function Marks() {
  return (
    <>
      <Part title="Mark" text="Two stems under one beam.">
        <div className="flex stack--6">
          <Mark /> <Wordmark />
        </div>
      </Part>
      <Part title="Status" text="The same words for agent, task, run and step. Only “needs you” fills.">
        <div className="gallery__status">
          {loudestFirst.map((state) => (
            <div key={state}>
              <Status state={state} />
              <Status state={state} reason={state === "running" ? <Elapsed since={Date.now() - 252_000} /> : reasons[state]} verified />
              <Status state={state} look="tag" />
            </div>
          ))}
        </div>
      </Part>
      <Part title="Beam" text="A whole group in one line. Height is loudness, so it works in grey and at 60 px.">
        <div className="gallery__beams">
          <span className="t3 s12">healthy</span>
          <Beam label="healthy" counts={{ running: 60, starting: 2, queued: 6, done: 30 }} />
          <span className="t3 s12">2 need you</span>
          <Beam label="2 need you" counts={{ running: 48, starting: 1, "needs you": 2, queued: 18, paused: 4, done: 20 }} />
          <span className="t3 s12">failing</span>
          <Beam label="failing" counts={{ running: 20, "needs you": 1, queued: 8, failed: 12, done: 24, cancelled: 3 }} />
          <span className="t3 s12">paused</span>
          <Beam label="paused" counts={{ running: 4, queued: 6, paused: 40, done: 12 }} />
          <span className="t3 s12">queued</span>
          <Beam label="queued" counts={{ running: 8, starting: 6, queued: 60, done: 2 }} />
          <span className="t3 s12">all done</span>
          <Beam label="all done" counts={{ done: 40, cancelled: 3, skipped: 2 }} />
          <span className="t3 s12">of 100</span>
          <Beam label="of 100" counts={{ running: 12, done: 20 }} total={100} />
        </div>
      </Part>
      <Part title="Who and what" text="Agents are square, people are round. Counts and keys.">
        <div className="flex flex--wrap">
          {["claude", "codex", "gemini", "opencode", "local model"].map((name) => (
            <Monogram key={name} name={name} kind="agent" />
          ))}
          <Monogram name="Mara Lind" kind="person" />
          <Monogram name="Ines" kind="person" large />
          <NeedsPill count={12} inline />
          <NeedsPill count={1200} inline />
        </div>
        <div className="flex flex--wrap">
          <Tag>low</Tag>
          <Tag high>high risk</Tag>
          <Tag>×10</Tag>
          <Chip>fact</Chip>
          <Chip onRemove={() => undefined} label="Clear project: storefront">
            project: storefront
          </Chip>
          <Chip on onRemove={() => undefined} label="Clear needs you">
            needs you
          </Chip>
        </div>
        <div className="flex flex--wrap">
          <Keycap keys={["j", "k", "⌘K", "Esc", "Space"]} />
        </div>
        <div className="flex flex--wrap">
          <Connection state={{ kind: "live" }} />
          <Connection state={{ kind: "reconnecting", seconds: 3 }} />
          <Connection state={{ kind: "stale", since: Date.now() - 600_000 }} />
          <Connection state={{ kind: "offline", text: "Offline demo" }} />
        </div>
      </Part>
    </>
  );
}

export function Figures() {
  return (
    <Part title="Figures" text="Mono, tabular, right. Not known is not zero.">
      <Ledger
        rows={[
          { name: "age", value: <Age at={Date.now() - 14 * 60_000} />, note: "updates itself" },
          { name: "duration", value: <Duration ms={806_000} /> },
          { name: "tokens", value: <Tokens n={1_902_410} />, note: <Tokens n={1_902_410} short /> },
          { name: "cost", value: <Money usd={1.66} />, note: <Money usd={null} /> },
        ]}
      />
      <Meter label="spent" value={24} max={100} words="$24 of $100" />
      <Meter label="spent" value={64} max={100} limit={80} words="$64 of $100" />
      <Meter label="spent" value={92} max={100} limit={80} words="$92 of $100" />
      <span className="flex">
        <Spark values={[3, 4, 3, 6, 5, 8, 9, 7, 11]} label="merged per hour, rising" /> <b className="num">46/h</b>
      </span>
    </Part>
  );
}
