/** JSON with the keys of every object in order, so that equal data has one text and one hash, whatever made it. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (isObject(inner) ? inKeyOrder(inner) : inner)) ?? "null";
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function inKeyOrder(object: Record<string, unknown>): Record<string, unknown> {
  const keys = Object.keys(object);
  if (keys.every((key, index) => index === 0 || (keys[index - 1] ?? "") < key)) return object;
  return Object.fromEntries(keys.toSorted().map((key) => [key, object[key]]));
}
