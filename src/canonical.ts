/** JSON with the keys of every object in order, so that equal data has one text and one hash, whatever made it. */
export function canonical(value: unknown): string {
  // Most data is in order as it was written: then it is not copied.
  return JSON.stringify(isInOrder(value) ? value : inOrder(value)) ?? "null";
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !("toJSON" in value);

function isInOrder(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isInOrder);
  if (!isObject(value)) return true;
  let before: string | null = null;
  for (const key of Object.keys(value)) {
    if ((before !== null && key < before) || !isInOrder(value[key])) return false;
    before = key;
  }
  return true;
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, inOrder(value[key])]),
  );
}
