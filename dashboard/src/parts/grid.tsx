import { ArrowDown, ArrowUp, ChevronRight } from "lucide-react";
import { type CSSProperties, type KeyboardEvent, type MouseEvent, type ReactNode, useMemo, useRef } from "react";
import { Icon } from "./icon.tsx";
import { useRoving } from "./roving.ts";
import type { TreeRow } from "./rows.ts";
import { useWindowed } from "./windowed.ts";

export interface Column<T> {
  key: string;
  title: ReactNode;
  cell: (row: T) => ReactNode;
  /** As in grid-template-columns: "minmax(0, 2fr)", "88px". Numbers: "84px", everything else: "minmax(0, 1fr)". */
  width?: string;
  /** Numbers stand right, in mono. */
  number?: boolean;
  sort?: boolean;
  /** How many columns this cell takes in this row (the next ones are left out there). */
  span?: (row: T) => number;
  /** Its place in the two lines of a row on phones: "first" is the name, "end" stands right of it, "second" below, "none" is left out. */
  phone?: "first" | "end" | "second" | "none";
}

export interface Sort {
  key: string;
  down: boolean;
}

export interface GridProps<T> {
  label: string;
  columns: readonly Column<T>[];
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  selected?: string | null;
  onSelect?: (key: string) => void;
  onOpen?: (key: string) => void;
  letters?: boolean;
  /** All rows of the server, where only some are here. */
  total?: number;
  empty?: ReactNode;
  end?: ReactNode;
}

interface InnerProps<T> extends GridProps<T> {
  rows: readonly TreeRow<T>[];
  tree: boolean;
  onToggle?: (key: string, open: boolean) => void;
}

/**
 * What tables and trees share: head, rows, keys, selection, the window of long ones. A table without selection is a plain table for
 * screen readers; with it, a grid whose rows are the stops.
 */
export function Grid<T>({
  rows,
  tree,
  onToggle,
  label,
  columns,
  sort,
  onSort,
  selected,
  onSelect,
  onOpen,
  letters = false,
  total,
  empty,
  end,
}: InnerProps<T>) {
  const scroller = useRef<HTMLDivElement>(null);
  const keys = useMemo(() => rows.map((row) => row.key), [rows]);
  const interactive = tree || onSelect !== undefined || onOpen !== undefined;
  const revealRef = useRef<(position: number) => void>(() => undefined);
  const roving = useRoving({ keys, selected, letters, scroller, reveal: (position) => revealRef.current(position), onMove: onSelect });
  const windowed = useWindowed(scroller, rows.length, () => 33, keys.indexOf(roving.active ?? ""));
  revealRef.current = windowed.reveal;
  const template = columns.map((column) => column.width ?? (column.number === true ? "84px" : "minmax(0, 1fr)")).join(" ");

  const onKeyDown = (event: KeyboardEvent) => {
    // Keys inside of a cell's own control are its own.
    if (!(event.target instanceof HTMLElement) || event.target.closest("button, input, select, a") !== null) return;
    if (!interactive || roving.onKey(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows.find((each) => each.key === roving.active);
    if (row === undefined) return;
    if (event.key === "Enter") (onOpen ?? onSelect)?.(row.key);
    else if (event.key === " ") (onSelect ?? onOpen)?.(row.key);
    else if (tree && event.key === "ArrowRight" && row.expanded === false) onToggle?.(row.key, true);
    else if (tree && event.key === "ArrowRight" && row.expanded === true) roving.moveTo(keys[keys.indexOf(row.key) + 1] ?? row.key);
    else if (tree && event.key === "ArrowLeft" && row.expanded === true) onToggle?.(row.key, false);
    else if (tree && event.key === "ArrowLeft" && row.parent !== undefined) roving.moveTo(row.parent);
    else return;
    event.preventDefault();
  };
  const onRowClick = (event: MouseEvent, key: string) => {
    if (!(event.target instanceof HTMLElement) || event.target.closest("button, input, select, a, label") !== null) return;
    (key === selected ? (onOpen ?? onSelect) : (onSelect ?? onOpen))?.(key);
  };

  const cellRole = interactive ? "gridcell" : "cell";
  return (
    <div
      ref={scroller}
      className={tree ? "tbl tbl--tree" : "tbl"}
      role={tree ? "treegrid" : interactive ? "grid" : "table"}
      aria-label={label}
      aria-rowcount={(total ?? rows.length) + 1}
      aria-colcount={columns.length}
      tabIndex={interactive && rows.length > 0 ? undefined : 0}
      style={{ "--columns": template } as CSSProperties}
      onKeyDown={onKeyDown}
    >
      <div role="rowgroup" className="tbl__head">
        <div role="row" className="tbl__row" aria-rowindex={1}>
          {columns.map((column) => (
            <HeadCell key={column.key} column={column} sort={sort} onSort={onSort} />
          ))}
        </div>
      </div>
      {rows.length === 0 ? (
        <div role="rowgroup">
          <div role="row">
            <div role={cellRole} aria-colspan={columns.length}>
              {empty}
            </div>
          </div>
        </div>
      ) : (
        <div
          role="rowgroup"
          className={windowed.virtual ? "tbl__body list__window" : "tbl__body"}
          style={windowed.height === undefined ? undefined : ({ "--height": `${windowed.height}px` } as CSSProperties)}
        >
          {windowed.rows.map(({ index, style }) => {
            const row = rows[index];
            if (row === undefined) return null;
            const level = tree
              ? { "aria-level": row.level, "aria-expanded": row.expanded, "aria-posinset": row.position, "aria-setsize": row.siblings }
              : {};
            return (
              <div
                key={row.key}
                ref={windowed.measure}
                data-index={index}
                data-key={row.key}
                role="row"
                className="tbl__row trow"
                style={tree ? ({ ...style, "--level": row.level - 1 } as CSSProperties) : style}
                aria-rowindex={index + 2}
                {...level}
                {...(interactive
                  ? {
                      tabIndex: row.key === roving.active ? 0 : -1,
                      "aria-selected": row.key === selected,
                      onFocus: () => roving.setActive(row.key),
                      onClick: (event: MouseEvent) => onRowClick(event, row.key),
                    }
                  : {})}
              >
                {cellsOf(columns, row.row).map(({ column, span, first }) => (
                  <div
                    key={column.key}
                    role={cellRole}
                    className={column.number === true && span === 1 ? "tbl__cell num" : "tbl__cell"}
                    data-phone={span > 1 ? "second" : (column.phone ?? (first ? "first" : "second"))}
                    aria-colspan={span > 1 ? span : undefined}
                    style={span > 1 ? { gridColumn: `span ${span}` } : undefined}
                  >
                    {tree && first ? (
                      <span className="trow__name">
                        <Twisty row={row} onToggle={onToggle} />
                        {column.cell(row.row)}
                      </span>
                    ) : (
                      column.cell(row.row)
                    )}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      )}
      {end !== undefined && (
        <div role="rowgroup">
          <div role="row">
            <div role={cellRole} aria-colspan={columns.length}>
              {end}
            </div>
          </div>
        </div>
      )}
    </div>
  );
}

function HeadCell<T>({ column, sort, onSort }: { column: Column<T>; sort: Sort | undefined; onSort: ((sort: Sort) => void) | undefined }) {
  const look = column.number === true ? "tbl__cell tbl__cell--end" : "tbl__cell";
  if (column.sort !== true || onSort === undefined) {
    return (
      <div role="columnheader" className={look}>
        {column.title}
      </div>
    );
  }
  const down = sort?.key === column.key ? sort.down : undefined;
  return (
    <div role="columnheader" className={look} aria-sort={down === undefined ? "none" : down ? "descending" : "ascending"}>
      <button
        type="button"
        className="tbl__sort"
        onClick={() => onSort({ key: column.key, down: down === undefined ? column.number === true : !down })}
      >
        {column.title}
        {down !== undefined && <Icon of={down ? ArrowDown : ArrowUp} small />}
      </button>
    </div>
  );
}

function Twisty<T>({ row, onToggle }: { row: TreeRow<T>; onToggle: ((key: string, open: boolean) => void) | undefined }) {
  if (row.expanded === undefined) return <span className="tw" />;
  return (
    <button
      type="button"
      className="tw"
      tabIndex={-1}
      data-open={row.expanded || undefined}
      aria-label={row.expanded ? "Collapse" : "Expand"}
      onClick={() => onToggle?.(row.key, row.expanded !== true)}
    >
      <Icon of={ChevronRight} small />
    </button>
  );
}

/** The cells of one row: a cell that spans several columns takes the place of the next ones. */
function cellsOf<T>(columns: readonly Column<T>[], row: T): { column: Column<T>; span: number; first: boolean }[] {
  const cells: { column: Column<T>; span: number; first: boolean }[] = [];
  for (let at = 0; at < columns.length;) {
    const column = columns[at];
    if (column === undefined) break;
    const span = Math.max(1, column.span?.(row) ?? 1);
    cells.push({ column, span, first: at === 0 });
    at += span;
  }
  return cells;
}
