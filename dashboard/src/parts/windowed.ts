import { type Range, useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type RefObject, useCallback, useDeferredValue, useRef } from "react";

/** Up to this many rows all are in the page, where the browser's own search finds them. */
const virtualAbove = 100;
/** So many are drawn with their page, more than are in sight; the others right after it. */
const drawnAtOnce = 30;

export interface WindowRow {
  index: number;
  style: CSSProperties | undefined;
}

export interface Windowed {
  virtual: boolean;
  rows: WindowRow[];
  /** The height of all rows, px; undefined when all are drawn. */
  height: number | undefined;
  /** The first row in sight. */
  first: number;
  measure: ((element: Element | null) => void) | undefined;
  reveal: (index: number) => void;
}

/**
 * The rows of a long list that are in sight, and `kept` (the one that has the focus: it must not vanish while it is scrolled out).
 * Short lists are drawn whole.
 */
export function useWindowed(
  scroller: RefObject<HTMLElement | null>,
  count: number,
  estimate: (index: number) => number,
  kept: number,
): Windowed {
  const virtual = count > virtualAbove;
  const drawn = useDeferredValue(virtualAbove, drawnAtOnce);
  const keptRow = useRef(kept);
  keptRow.current = kept;
  const rangeExtractor = useCallback((range: Range) => {
    const rows: number[] = [];
    const from = Math.max(0, range.startIndex - range.overscan);
    const to = Math.min(range.count - 1, range.endIndex + range.overscan);
    if (keptRow.current >= 0 && keptRow.current < from) rows.push(keptRow.current);
    for (let index = from; index <= to; index += 1) rows.push(index);
    if (keptRow.current > to && keptRow.current < range.count) rows.push(keptRow.current);
    return rows;
  }, []);
  const virtualizer = useVirtualizer({
    count,
    enabled: virtual,
    getScrollElement: () => scroller.current,
    estimateSize: estimate,
    overscan: 8,
    rangeExtractor,
  });
  const reveal = useCallback(
    (index: number) => {
      if (virtual) virtualizer.scrollToIndex(index, { align: "auto" });
      else scroller.current?.querySelector(`[data-index="${index}"]`)?.scrollIntoView({ block: "nearest" });
    },
    [virtual, virtualizer, scroller],
  );
  if (!virtual) {
    return {
      virtual,
      rows: Array.from({ length: Math.min(count, drawn) }, (_, index) => ({ index, style: undefined })),
      height: undefined,
      first: 0,
      measure: undefined,
      reveal,
    };
  }
  return {
    virtual,
    rows: virtualizer.getVirtualItems().map((item) => ({ index: item.index, style: { transform: `translateY(${item.start}px)` } })),
    height: virtualizer.getTotalSize(),
    first: virtualizer.range?.startIndex ?? 0,
    measure: virtualizer.measureElement,
    reveal,
  };
}
