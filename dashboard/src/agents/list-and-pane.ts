import { type RefObject, useEffect, useRef } from "react";
import { useKeys } from "../shell/keys.ts";
import "./list-and-pane.css";

interface ListAndPane {
  /** Whether the pane is there. */
  open: boolean;
  onOpen: (key: string) => void;
  onClose: () => void;
  onCreate: () => void;
  onFind: () => void;
}

const rowIn = (list: HTMLElement | null): HTMLElement | null =>
  list?.querySelector<HTMLElement>('[role="row"][data-key][tabindex="0"]') ?? null;

/**
 * The keys of a table with a pane beside it. j, k and Enter work from anywhere on the page: they go to the table's own row, which has
 * them too. The focus follows into the pane when it opens, and back to the row when it closes.
 */
export function useListAndPane({ open, onOpen, onClose, onCreate, onFind }: ListAndPane): {
  list: RefObject<HTMLDivElement | null>;
  pane: RefObject<HTMLElement | null>;
} {
  const list = useRef<HTMLDivElement>(null);
  const pane = useRef<HTMLElement>(null);
  const was = useRef(open);
  const toRow = (): void => rowIn(list.current)?.focus();
  useEffect(() => {
    if (was.current === open) return;
    was.current = open;
    (open ? pane.current : rowIn(list.current))?.focus({ preventScroll: true });
  }, [open]);
  useKeys([
    { keys: "j", label: "next", run: toRow },
    { keys: "k", label: "previous", run: toRow },
    {
      keys: "Enter",
      label: "open",
      run: () => {
        const key = rowIn(list.current)?.dataset.key;
        if (key !== undefined) onOpen(key);
      },
    },
    { keys: "c", label: "create", run: onCreate },
    { keys: "/", label: "find", run: onFind },
    ...(open ? [{ keys: "Escape", label: "back", run: onClose }] : []),
  ]);
  return { list, pane };
}
