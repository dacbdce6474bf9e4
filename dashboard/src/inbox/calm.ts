/**
 * A list that people work in does not move by itself: what was resolved elsewhere stays, marked as gone, until they turn to
 * something else; while they point at the list, new things wait. Pure.
 */
export interface Calm<T> {
  items: readonly T[];
  gone: ReadonlySet<string>;
  /** How many new things wait to be shown. */
  waiting: number;
}

/** `own`: what the person has just dealt with; it leaves as soon as the server says so. */
export function calm<T extends { id: string; group: string }>(
  before: Calm<T>,
  fresh: readonly T[],
  holds: boolean,
  own: ReadonlySet<string> = new Set(),
): Calm<T> {
  const shown = { ...before, items: before.items.filter(({ id }) => !own.has(id) || fresh.some((one) => one.id === id)) };
  const news = new Map(fresh.map((item) => [item.id, item]));
  const known = new Set(shown.items.map(({ id }) => id));
  const added = fresh.filter(({ id }) => !known.has(id));
  const kept = shown.items.map((item) => news.get(item.id) ?? item);
  const gone = new Set(shown.items.filter(({ id }) => !news.has(id)).map(({ id }) => id));
  const moved = kept.some((item, index) => news.has(item.id) && item.group !== shown.items[index]?.group);
  if (holds && shown.items.length > 0) return { items: kept, gone, waiting: added.length + (moved ? 1 : 0) };
  // At rest: the server's order, with what went away left where it was, behind the one it stood behind.
  const items = [...fresh];
  for (const item of shown.items.filter(({ id }) => gone.has(id))) {
    const before = shown.items[shown.items.indexOf(item) - 1];
    const at = before === undefined ? 0 : items.findIndex(({ id }) => id === before.id) + 1;
    items.splice(at, 0, item);
  }
  return { items: grouped(items), gone, waiting: 0 };
}

/** Without what is gone: the person has turned to something else. */
export const settled = <T extends { id: string; group: string }>(fresh: readonly T[]): Calm<T> => ({
  items: fresh,
  gone: new Set(),
  waiting: 0,
});

/** Items of one group follow each other, in the order in which the groups first appear. */
function grouped<T extends { group: string }>(items: readonly T[]): T[] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(item.group, [...(groups.get(item.group) ?? []), item]);
  return [...groups.values()].flat();
}
