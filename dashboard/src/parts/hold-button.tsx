import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";

const holdMs = 900;
const confirmMs = 5_000;

/**
 * A button for what cannot be undone: held for 0.9 s by pointer or key. Someone who cannot hold (a switch, a screen reader: their
 * click comes without a pointer) presses twice instead, the second time within five seconds.
 */
export function HoldButton({
  children,
  again = "Press again to confirm",
  onHeld,
}: {
  children: ReactNode;
  again?: ReactNode;
  onHeld: () => void;
}) {
  const [held, setHeld] = useState(false);
  const [armed, setArmed] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const done = useRef(false);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (!armed) return undefined;
    const wait = setTimeout(() => setArmed(false), confirmMs);
    return () => clearTimeout(wait);
  }, [armed]);
  const start = () => {
    done.current = false;
    setHeld(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      done.current = true;
      setHeld(false);
      onHeld();
    }, holdMs);
  };
  const stop = () => {
    clearTimeout(timer.current);
    setHeld(false);
  };
  const key = (event: KeyboardEvent, act: () => void) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (!event.repeat) act();
  };
  return (
    <button
      type="button"
      className="btn btn--primary btn--lg btn--grow hold"
      data-held={held || undefined}
      onPointerDown={start}
      onPointerUp={stop}
      onPointerLeave={stop}
      onPointerCancel={stop}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => key(event, start)}
      onKeyUp={(event) => key(event, stop)}
      onBlur={stop}
      onClick={(event) => {
        // detail 0: no pointer made this click. A pointer's own click comes after it was let go, and means nothing here.
        if (event.detail !== 0 || done.current) return;
        if (armed) onHeld();
        setArmed(!armed);
      }}
    >
      {armed ? again : children}
    </button>
  );
}
