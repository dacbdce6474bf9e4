/** Keeps the newest `limit` values that were asked for, makes the others again. */
export function makeCache<Key, Value>(limit: number, make: (key: Key) => Value): (key: Key) => Value {
  const values = new Map<Key, Value>();
  return (key) => {
    const found = values.get(key);
    if (found !== undefined) return found;
    const made = make(key);
    // First in, first out: what is in use comes back with one more preparation, and a hit costs nothing.
    if (values.size >= limit) values.delete(values.keys().next().value as Key);
    values.set(key, made);
    return made;
  };
}
