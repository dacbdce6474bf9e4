import { type KeyboardEvent, type RefObject, useEffect, useRef, useState } from "react";
import { stepKey, stepsOf } from "./rows.ts";

interface RovingOptions {
  keys: readonly string[];
  /** The row that is chosen; it is where the Tab key enters. */
  selected: string | null | undefined;
  /** j and k move too. */
  letters: boolean;
  scroller: RefObject<HTMLElement | null>;
  /** Brings a row of that position into sight. */
  reveal: (position: number) => void;
  onMove?: (key: string) => void;
}

export interface Roving {
  /** The one row that the Tab key reaches. */
  active: string | undefined;
  setActive: (key: string) => void;
  /** Moves for arrows, Home, End, Page Up and Down; true when it did. */
  onKey: (event: KeyboardEvent) => boolean;
  moveTo: (key: string) => void;
}

const page = 10;

/** One stop of the Tab key for a whole list: the keys move inside of it, and the focus follows the row. */
export function useRoving({ keys, selected, letters, scroller, reveal, onMove }: RovingOptions): Roving {
  const [wanted, setActive] = useState<string>();
  const active = wanted !== undefined && keys.includes(wanted) ? wanted : (keys.find((key) => key === selected) ?? keys[0]);
  const focusNext = useRef(false);
  // A row that was far away is drawn one render later than it is wanted, so the focus is given after each render until it is there.
  useEffect(() => {
    if (!focusNext.current || active === undefined) return;
    const row = scroller.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(active)}"]`);
    if (row === null || row === undefined) return;
    focusNext.current = false;
    row.focus({ preventScroll: true });
  });
  // A selection from outside (the page's own keys, a link) is followed, without taking the focus.
  useEffect(() => {
    if (selected === null || selected === undefined) return;
    setActive(selected);
    const position = keys.indexOf(selected);
    if (position >= 0) reveal(position);
    // Only a new selection moves the list, never new rows: `keys` and `reveal` are left out on purpose.
  }, [selected]);
  const moveTo = (key: string) => {
    focusNext.current = true;
    setActive(key);
    reveal(keys.indexOf(key));
    onMove?.(key);
  };
  const onKey = (event: KeyboardEvent): boolean => {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const steps = stepsOf(event.key, page, letters);
    const next = steps === undefined ? undefined : stepKey(keys, active, steps);
    if (next === undefined) return false;
    event.preventDefault();
    moveTo(next);
    return true;
  };
  return { active, setActive, onKey, moveTo };
}
