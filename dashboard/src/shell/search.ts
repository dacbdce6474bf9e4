/**
 * What a page's search may hold, field by field; anything else in the address falls back to nothing. By hand and not by zod,
 * which is a tenth of the first screen's size.
 */
export const search =
  <Fields extends Record<string, (value: unknown) => unknown>>(fields: Fields) =>
  (given: Record<string, unknown>): { [Name in keyof Fields]?: ReturnType<Fields[Name]> } => {
    const read: { [Name in keyof Fields]?: ReturnType<Fields[Name]> } = {};
    for (const name of Object.keys(fields) as (keyof Fields & string)[]) {
      const value = fields[name]?.(given[name]);
      if (value !== undefined) read[name] = value as ReturnType<Fields[typeof name]>;
    }
    return read;
  };

export const text = (value: unknown): string | undefined => (typeof value === "string" && value.length <= 200 ? value : undefined);

export const oneOf =
  <const Word extends string>(...words: Word[]) =>
  (value: unknown): Word | undefined =>
    words.find((word) => word === value);

export const texts = (value: unknown): string[] | undefined =>
  Array.isArray(value) && value.length <= 100 && value.every((one) => typeof one === "string") ? value : undefined;
