import { memo, useMemo, useState } from "react";
import { type AnsiSpan, ansiLines } from "./ansi-lines.ts";
import { Button } from "./button.tsx";
import { Pieces } from "./plain.tsx";
import { plainString } from "./plain-pieces.ts";

const firstShown = 1_000;
const longLine = 5_000;

/** Output of a program: its colours in the theme's own, its last states, nothing else of what it asked the terminal to do. */
export const Ansi = memo(function Ansi({ text, numbers = false, label = "Output" }: { text: string; numbers?: boolean; label?: string }) {
  const lines = useMemo(() => ansiLines(text), [text]);
  const [all, setAll] = useState(false);
  // The end of an output is what matters; earlier lines come on demand, and it is said that there are some.
  const from = all ? 0 : Math.max(0, lines.length - firstShown);
  return (
    <div className={numbers ? "log log--numbers" : "log log--bare"} role="group" aria-label={plainString(label, "all").slice(0, 200)}>
      {from > 0 && (
        <div className="log__more">
          <Button kind="quiet" onClick={() => setAll(true)}>
            Show {from.toLocaleString("en")} earlier lines
          </Button>
        </div>
      )}
      {lines.slice(from).map((spans, index) => (
        <div key={from + index} className="log__line">
          {numbers && <i aria-hidden>{from + index + 1}</i>}
          <span>{spans.length === 0 ? "\u00a0" : <Line spans={spans} />}</span>
        </div>
      ))}
    </div>
  );
});

function Line({ spans }: { spans: readonly AnsiSpan[] }) {
  const [whole, setWhole] = useState(false);
  const length = spans.reduce((sum, span) => sum + span.text.length, 0);
  let left = whole ? Infinity : longLine;
  return (
    <>
      {spans.map((span, index) => {
        const text = span.text.slice(0, left);
        left -= text.length;
        if (text === "") return null;
        return (
          <span key={index} className={classOf(span)}>
            <Pieces text={text} />
          </span>
        );
      })}
      {length > longLine && !whole && (
        <button type="button" className="more" onClick={() => setWhole(true)}>
          {(length - longLine).toLocaleString("en")} more characters
        </button>
      )}
    </>
  );
}

function classOf(span: AnsiSpan): string | undefined {
  const names = [
    span.fg !== undefined && `a-${span.fg}`,
    span.bg !== undefined && `a-on-${span.bg}`,
    span.bold === true && "a-bold",
    span.dim === true && "a-dim",
    span.italic === true && "a-italic",
    span.underline === true && "a-under",
    span.strike === true && "a-strike",
  ].filter((name) => name !== false);
  return names.length === 0 ? undefined : names.join(" ");
}
