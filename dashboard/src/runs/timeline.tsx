import { ChevronDown, ChevronRight } from "lucide-react";
import { type CSSProperties, type KeyboardEvent, memo, type RefObject, useDeferredValue, useMemo, useRef, useState } from "react";
import { durationWords } from "../parts/figures.ts";
import { Icon } from "../parts/icon.tsx";
import { Patterns } from "../parts/patterns.tsx";
import { Switch } from "../parts/switch.tsx";
import { useTimeWords } from "../parts/ticker.ts";
import { Toolbar } from "../parts/toolbar.tsx";
import { makeScale, type Part, partsOf, quietOf, type Scale, spanOf, ticksOf } from "./gantt.ts";
import { StepName } from "./step-name.tsx";
import type { StepRow } from "./step-rows.ts";

/** So many rows are drawn with the page, more than are in sight; the others right after it. */
const drawnAtOnce = 40;

interface TimelineProps {
  /** Whether time still goes on here. */
  running: boolean;
  rows: readonly StepRow[];
  selected: string | null;
  onSelect: (step: string) => void;
  onToggle: (group: string, open: boolean) => void;
}

/** Tree and time on one row model and one scroll, with one line for now. */
export function Timeline({ running, rows: given, selected, onSelect, onToggle }: TimelineProps) {
  const rows = useSame(given);
  const drawn = useDeferredValue(Infinity, drawnAtOnce);
  const acts = useRef({ onSelect, onToggle });
  acts.current = { onSelect, onToggle };
  const [short, setShort] = useState(true);
  // One tick a second for the whole picture, and none when nothing moves.
  const now = Number(useTimeWords((at) => (running ? String(Math.floor(at / 1_000) * 1_000) : "0"))) || lastOf(rows);
  const body = useRef<HTMLDivElement>(null);
  const parts = useMemo(() => rows.map(({ step }) => partsOf(step, now)), [rows, now]);
  // Hundreds of rows hang on these: they are the same objects as long as nothing has moved.
  const { span, quiet, scale, ticks } = useMemo(() => {
    const span = spanOf(parts.flat(), now);
    const quiet = quietOf(parts.flat(), span);
    const scale = makeScale(span, short ? quiet : []);
    return { span, quiet, scale, ticks: ticksOf(scale, 8) };
  }, [parts, now, short]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = rows.findIndex(({ step }) => step.id === selected);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    const row = next === undefined ? undefined : rows[next];
    if (row === undefined) return;
    event.preventDefault();
    onSelect(row.step.id);
    body.current?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus();
  };
  return (
    <div className="timeline">
      <Patterns />
      <Toolbar label="Time" end={<Legend />}>
        <Switch checked={short} onChange={setShort}>
          compress quiet{quiet.length > 0 && ` (${durationWords(quiet.reduce((sum, { from, to }) => sum + to - from, 0))})`}
        </Switch>
      </Toolbar>
      <div className="timeline__scroll" ref={body}>
        <div className="gt" role="treegrid" aria-label="Steps over time" onKeyDown={onKeyDown}>
          <div className="gt__row gt__axis" role="row">
            <span className="gt__name t3" role="columnheader">
              step
            </span>
            <span className="gt__lane" role="columnheader" aria-label="time">
              <svg aria-hidden>
                {ticks.map(({ time, share }) => (
                  <text key={time} className="gtxt gtxt--3" x={percent(share)} y="21" dx="4">
                    {clock(time, span.to - span.from)}
                  </text>
                ))}
              </svg>
            </span>
          </div>
          {rows.slice(0, drawn).map((row, index) => (
            <Row
              key={row.step.id}
              index={index}
              row={row}
              parts={parts[index] ?? []}
              scale={scale}
              ticks={ticks}
              live={running}
              isSelected={row.step.id === selected}
              isStop={row.step.id === selected || (selected === null && index === 0)}
              acts={acts}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

/** The same rows as before when they say the same: only what is new is drawn anew. */
function useSame(rows: readonly StepRow[]): readonly StepRow[] {
  const last = useRef(rows);
  const same =
    rows.length === last.current.length &&
    rows.every(({ step, level, open, more }, at) => {
      const before = last.current[at];
      return before?.step === step && before.level === level && before.open === open && before.more === more;
    });
  if (!same) last.current = rows;
  return last.current;
}

const lastOf = (rows: readonly StepRow[]): number =>
  Math.max(0, ...rows.flatMap(({ step }) => [step.finishedAt ?? 0, step.startedAt ?? 0, step.queuedAt ?? 0]));

const percent = (share: number): string => `${(share * 100).toFixed(3)}%`;

/** The time of day, with seconds where minutes would all be the same. */
const clock = (time: number, spanMs: number): string =>
  new Date(time).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    ...(spanMs < 600_000 ? { second: "2-digit" } : {}),
    hour12: false,
  });

interface RowProps {
  index: number;
  row: StepRow;
  parts: readonly Part[];
  scale: Scale;
  ticks: readonly { time: number; share: number }[];
  live: boolean;
  isSelected: boolean;
  isStop: boolean;
  acts: RefObject<Pick<TimelineProps, "onSelect" | "onToggle">>;
}

const Row = memo(function Row({ index, row, parts, scale, ticks, live, isSelected, isStop, acts }: RowProps) {
  const { step, level, open } = row;
  return (
    <div
      className="gt__row"
      role="row"
      data-row={index}
      aria-level={level}
      aria-expanded={open ?? undefined}
      aria-selected={isSelected}
      tabIndex={isStop ? 0 : -1}
      onClick={() => acts.current.onSelect(step.id)}
    >
      <span className="gt__name" role="gridcell" style={{ "--level": level - 1 } as CSSProperties}>
        {open !== null && (
          <button
            type="button"
            className="timeline__fold"
            tabIndex={-1}
            aria-label={open ? `Fold ${step.id}` : `Unfold ${step.id}`}
            onClick={(event) => {
              event.stopPropagation();
              acts.current.onToggle(step.id, !open);
            }}
          >
            <Icon of={open ? ChevronDown : ChevronRight} />
          </button>
        )}
        <StepName row={row} />
      </span>
      <span className="gt__lane" role="gridcell">
        <span className="vh">{inWords(step.state, parts)}</span>
        <svg aria-hidden>
          {ticks.map(({ time, share }) => (
            <line key={time} className="gl" x1={percent(share)} x2={percent(share)} y1="0" y2="100%" />
          ))}
          {scale.short.map(({ from, to }) => (
            <rect
              key={from}
              className="gap"
              x={percent(scale.at(from))}
              width={percent(scale.at(to) - scale.at(from))}
              y="0"
              height="100%"
            />
          ))}
          {parts.map((part) => (
            <Bar key={part.kind} part={part} scale={scale} step={step} />
          ))}
          {live && <line className="now" x1="100%" x2="100%" y1="0" y2="100%" />}
        </svg>
        <Took parts={parts} scale={scale} failed={step.state === "failed"} />
      </span>
    </div>
  );
});

function Bar({ part, scale, step }: { part: Part; scale: Scale; step: StepRow["step"] }) {
  const left = scale.at(part.from);
  const width = scale.at(part.to) - left;
  if (part.kind === "queued") return <line className="q" x1={percent(left)} x2={percent(left + width)} y1="50%" y2="50%" />;
  const look =
    part.kind === "person"
      ? "bar-h"
      : step.group !== null
        ? "bar-grp"
        : step.state === "failed"
          ? "bar-x"
          : step.finishedAt === null
            ? "bar-r"
            : "bar-d";
  // A moment is seen too: at least six pixels, and its length stands beside it in words.
  return (
    <rect
      className={look}
      x={percent(left)}
      y={step.group === null ? 10 : 15}
      height={step.group === null ? 12 : 3}
      style={{ width: `max(6px, ${percent(width)})` }}
    />
  );
}

function Took({ parts, scale, failed }: { parts: readonly Part[]; scale: Scale; failed: boolean }) {
  const last = parts.at(-1);
  const begun = parts.find(({ kind }) => kind !== "queued");
  if (!last || !begun) return null;
  const share = scale.at(last.to);
  return (
    <span
      className={failed ? "took took--failed num" : "took num"}
      data-side={share > 0.85 ? "left" : "right"}
      style={{ "--at": percent(share) } as CSSProperties}
    >
      {durationWords(last.to - begun.from)}
    </span>
  );
}

const named: Record<Part["kind"], string> = { queued: "queued", running: "running", person: "waited for a person" };

const inWords = (state: string, parts: readonly Part[]): string =>
  [state, ...parts.map(({ kind, from, to }) => `${named[kind]} ${durationWords(to - from)}`)].join(", ");

function Legend() {
  return (
    <span className="timeline__legend t3">
      <Key look="q">queued</Key>
      <Key look="bar-r">running</Key>
      <Key look="bar-d">finished</Key>
      <Key look="bar-h">waiting for a person</Key>
      <Key look="bar-x">failed</Key>
    </span>
  );
}

function Key({ look, children }: { look: string; children: string }) {
  return (
    <span className="flex">
      <svg width="16" height="10" aria-hidden>
        {look === "q" ? <line className="q" x1="0" x2="16" y1="5" y2="5" /> : <rect className={look} width="16" height="8" y="1" />}
      </svg>
      {children}
    </span>
  );
}
