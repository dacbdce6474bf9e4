import type { Fleet } from "../../../src/fleet/fleet.ts";
import { Link } from "../parts/link.tsx";
import { Money } from "../parts/money.tsx";
import { Status } from "../parts/status.tsx";
import { useAttention } from "../shell/attention.ts";
import { Tokens } from "../parts/tokens.tsx";

const shown = ["running", "needs you", "failed", "queued", "paused"] as const;

/** The whole fleet in one line. Counts lead to what they count. */
export function ActivityStrip({ fleet: { counts, today } }: { fleet: Fleet }) {
  const needs = useAttention();
  // Whoever needs the person is counted in one way everywhere: questions of flows are among them, which no agent is at.
  const countOf = (state: (typeof shown)[number]): number =>
    state === "needs you" ? needs : state === "running" ? counts.running + counts.starting : counts[state];
  return (
    <section className="activity" aria-label="Activity">
      <div className="activity__states">
        {shown.map((state) => (
          <Link
            key={state}
            className="activity__n"
            href={state === "needs you" ? "/inbox" : `/fleet?lens=table&state=${encodeURIComponent(state)}`}
          >
            <b className="num">{countOf(state).toLocaleString("en")}</b>
            <Status state={state} />
          </Link>
        ))}
      </div>
      <div className="activity__m">
        <b className="num">{today.done.toLocaleString("en")}</b>
        <span className="t3">done today</span>
      </div>
      <div className="activity__m">
        <b className="num">
          <Tokens n={today.tokens} short />
        </b>
        <span className="t3">tokens today</span>
      </div>
      {today.costUsd !== null && (
        <div className="activity__m">
          <b className="num">
            <Money usd={today.costUsd} />
          </b>
          <span className="t3">reported cost today</span>
        </div>
      )}
    </section>
  );
}
