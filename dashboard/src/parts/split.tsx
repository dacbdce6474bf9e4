import { type CSSProperties, type KeyboardEvent, type PointerEvent, type ReactNode, useRef, useState } from "react";

interface SplitProps {
  /** Names the remembered width: "inbox". */
  name: string;
  first: ReactNode;
  /** Null: nothing is chosen, and the first pane has all the room. */
  second: ReactNode | null;
  /** Which pane has the width below; the other takes the rest. */
  sized?: "first" | "second";
  /** px */
  width?: number;
  min?: number;
  max?: number;
  /** What the line between them moves, for screen readers. */
  label?: string;
}

/**
 * A list and its detail, or a page and its inspector, with a line between them that can be moved (by pointer, or by the arrow keys) and
 * stays where it was left. On phones one at a time: the second when there is one, else the first.
 */
export function Split({
  name,
  first,
  second,
  sized = "first",
  width = 420,
  min = 320,
  max = 640,
  label = "Width of the list",
}: SplitProps) {
  const [size, setSize] = useState(() => clamp(stored(name) ?? width, min, max));
  const from = useRef<{ x: number; size: number }>(undefined);
  const sign = sized === "first" ? 1 : -1;
  const put = (next: number) => {
    const kept = clamp(next, min, max);
    setSize(kept);
    store(name, kept);
  };
  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    from.current = { x: event.clientX, size };
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent) => {
    if (from.current !== undefined) put(from.current.size + sign * (event.clientX - from.current.x));
  };
  const release = () => {
    from.current = undefined;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowLeft: -16 * sign, ArrowRight: 16 * sign, Home: min - size, End: max - size };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    put(size + step);
  };
  return (
    <div className={second === null ? "split split--one" : `split split--${sized}`} style={{ "--size": `${size}px` } as CSSProperties}>
      <div className="split__pane split__pane--first">{first}</div>
      {second !== null && (
        <>
          <div
            className="split__line"
            role="separator"
            tabIndex={0}
            aria-orientation="vertical"
            aria-label={label}
            aria-valuenow={size}
            aria-valuemin={min}
            aria-valuemax={max}
            onPointerDown={onPointerDown}
            onPointerMove={onPointerMove}
            onPointerUp={release}
            onPointerCancel={release}
            onDoubleClick={() => put(width)}
            onKeyDown={onKeyDown}
          />
          <div className="split__pane split__pane--second">{second}</div>
        </>
      )}
    </div>
  );
}

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, Math.round(value)));

function stored(name: string): number | undefined {
  try {
    const value = Number(localStorage.getItem(`tutti.split.${name}`) ?? "nothing");
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined; // storage may be closed to the page
  }
}

function store(name: string, size: number): void {
  try {
    localStorage.setItem(`tutti.split.${name}`, String(size));
  } catch {
    // Not kept, but in force.
  }
}
