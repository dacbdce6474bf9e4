import { type CSSProperties, type KeyboardEvent, type ReactNode, useMemo, useRef } from "react";
import { Glyph } from "./glyph.tsx";
import { useRoving } from "./roving.ts";
import type { AnyState } from "./state-look.ts";
import { useWindowed } from "./windowed.ts";

export interface ListGroup {
  key: string;
  title: ReactNode;
  count?: number;
  /** On the right: "oldest 14 min". */
  note?: ReactNode;
}

interface ListProps<T> {
  label: string;
  items: readonly T[];
  keyOf: (item: T) => string;
  /** What stands in the row: usually one <RowLines>. Nothing in it may be a control; actions belong to the detail or the menu. */
  row: (item: T) => ReactNode;
  /** Items of one group follow each other. */
  groupOf?: (item: T) => ListGroup;
  /** "quiet" for what can wait; "gone" for what somebody else has resolved: it stays, greyed out. */
  tone?: (item: T) => "quiet" | "gone" | undefined;
  selected?: string | null;
  /** Called as the keys move and when a row is pressed. */
  onSelect?: (key: string) => void;
  /** Enter, or a second press. */
  onOpen?: (key: string) => void;
  /** The Space key: peek. */
  onPeek?: (key: string) => void;
  /** Marked for an action on several. */
  checked?: ReadonlySet<string>;
  onCheck?: (key: string) => void;
  /** j, k and x work while the list has the focus. Off when the page has its own keys for them. */
  letters?: boolean;
  /** New or changed items that wait, so that no row moves under the pointer. */
  updates?: number;
  onUpdates?: () => void;
  /** What stands instead of rows. */
  empty?: ReactNode;
  /** After the last row: "Load more". */
  end?: ReactNode;
}

type Entry<T> = { kind: "group"; group: ListGroup } | { kind: "item"; item: T; key: string; position: number };

/** Rows in order of attention, with one selection. Above 100 rows only those in sight are in the page. */
export function List<T>(props: ListProps<T>) {
  const {
    label,
    items,
    keyOf,
    row,
    groupOf,
    tone,
    selected,
    onSelect,
    onOpen,
    onPeek,
    checked,
    onCheck,
    letters = false,
    empty,
    end,
  } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const entries = useMemo(() => entriesOf(items, keyOf, groupOf), [items, keyOf, groupOf]);
  const keys = useMemo(() => entries.flatMap((entry) => (entry.kind === "item" ? [entry.key] : [])), [entries]);
  const entryOf = (key: string | undefined) => entries.findIndex((entry) => entry.kind === "item" && entry.key === key);
  const revealRef = useRef<(position: number) => void>(() => undefined);
  const roving = useRoving({ keys, selected, letters, scroller, reveal: (position) => revealRef.current(position), onMove: onSelect });
  const rowHeight = 53;
  const windowed = useWindowed(
    scroller,
    entries.length,
    (index) => (entries[index]?.kind === "group" ? 28 : rowHeight),
    entryOf(roving.active),
  );
  revealRef.current = (position) => windowed.reveal(entryOf(keys[position]));

  const onKeyDown = (event: KeyboardEvent) => {
    if (roving.onKey(event) || roving.active === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") (onOpen ?? onSelect)?.(roving.active);
    else if (event.key === " ") (onPeek ?? onSelect)?.(roving.active);
    else if (letters && event.key === "x" && onCheck !== undefined) onCheck(roving.active);
    else return;
    event.preventDefault();
  };

  const stuck = windowed.virtual ? groupAt(entries, windowed.first) : undefined;
  return (
    <div className="list">
      {props.updates !== undefined && props.updates > 0 && (
        <button type="button" className="chip chip--on updates" onClick={props.onUpdates}>
          {props.updates.toLocaleString("en")} {props.updates === 1 ? "update" : "updates"}
        </button>
      )}
      <div ref={scroller} className="list__scroll" tabIndex={keys.length === 0 ? 0 : -1}>
        {stuck !== undefined && (
          <div className="list__stuck" aria-hidden>
            <GroupHead group={stuck} />
          </div>
        )}
        {keys.length === 0 ? (
          empty
        ) : (
          <div
            role="listbox"
            aria-label={label}
            aria-multiselectable={onCheck === undefined ? undefined : true}
            tabIndex={-1}
            className={windowed.virtual ? "list__window" : undefined}
            style={windowed.height === undefined ? undefined : ({ "--height": `${windowed.height}px` } as CSSProperties)}
            onKeyDown={onKeyDown}
          >
            {windowed.rows.map(({ index, style }) => {
              const entry = entries[index];
              if (entry === undefined) return null;
              if (entry.kind === "group") {
                return (
                  <div
                    key={`group ${entry.group.key}`}
                    ref={windowed.measure}
                    data-index={index}
                    style={style}
                    role="presentation"
                    className="list__group"
                  >
                    <GroupHead group={entry.group} />
                  </div>
                );
              }
              const look = tone?.(entry.item);
              return (
                <div
                  key={entry.key}
                  ref={windowed.measure}
                  data-index={index}
                  data-key={entry.key}
                  style={style}
                  role="option"
                  className={look === undefined ? "row" : `row row--${look}`}
                  tabIndex={entry.key === roving.active ? 0 : -1}
                  aria-selected={onCheck === undefined ? entry.key === selected : (checked?.has(entry.key) ?? false)}
                  aria-current={entry.key === selected ? "true" : undefined}
                  aria-posinset={entry.position}
                  aria-setsize={keys.length}
                  onFocus={() => roving.setActive(entry.key)}
                  onClick={() => (entry.key === selected ? (onOpen ?? onSelect) : (onSelect ?? onOpen))?.(entry.key)}
                >
                  {row(entry.item)}
                </div>
              );
            })}
          </div>
        )}
        {end}
      </div>
    </div>
  );
}

function GroupHead({ group }: { group: ListGroup }) {
  return (
    <div className="group">
      <span>{group.title}</span>
      {group.count !== undefined && <span className="num">{group.count.toLocaleString("en")}</span>}
      {group.note !== undefined && <span className="push t3">{group.note}</span>}
    </div>
  );
}

function entriesOf<T>(items: readonly T[], keyOf: (item: T) => string, groupOf: ((item: T) => ListGroup) | undefined): Entry<T>[] {
  const entries: Entry<T>[] = [];
  let last: string | undefined;
  for (const [index, item] of items.entries()) {
    const group = groupOf?.(item);
    if (group !== undefined && group.key !== last) entries.push({ kind: "group", group });
    last = group?.key;
    entries.push({ kind: "item", item, key: keyOf(item), position: index + 1 });
  }
  return entries;
}

function groupAt<T>(entries: readonly Entry<T>[], index: number): ListGroup | undefined {
  for (let at = index; at >= 0; at -= 1) {
    const entry = entries[at];
    if (entry?.kind === "group") return entry.group;
  }
  return undefined;
}

interface RowLinesProps {
  state?: AnyState;
  /** Instead of the state's glyph. */
  glyph?: ReactNode;
  title: ReactNode;
  /** A command or an id as the title. */
  mono?: boolean;
  /** The second line, part by part; dots stand between them. */
  facts?: readonly ReactNode[];
  /** Right of the title: how old it is. */
  age?: ReactNode;
  /** Right of the facts: tags, sizes. */
  end?: ReactNode;
}

/** The same two lines in every list: glyph, what, age; below it who, where, and tags. */
export function RowLines({ state, glyph, title, mono = false, facts = [], age, end }: RowLinesProps) {
  const said = facts.filter((fact) => fact !== undefined && fact !== null && fact !== false && fact !== "");
  return (
    <>
      {glyph ?? (state === undefined ? <span /> : <Glyph state={state} label />)}
      <span className={mono ? "row__1 clip mono" : "row__1 clip"}>{title}</span>
      <span className="row__age num">{age}</span>
      {(said.length > 0 || end !== undefined) && (
        <>
          <span className="row__2">
            {said.map((fact, index) => (
              <span key={index} className="row__fact clip">
                {fact}
              </span>
            ))}
          </span>
          <span className="row__end">{end}</span>
        </>
      )}
    </>
  );
}
