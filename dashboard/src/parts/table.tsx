import { useMemo } from "react";
import { Grid, type GridProps } from "./grid.tsx";

export type { Column, Sort } from "./grid.tsx";

interface TableProps<T> extends GridProps<T> {
  rows: readonly T[];
  keyOf: (row: T) => string;
}

/** Rows and columns: names left, numbers right. Above 100 rows only those in sight are drawn; on phones each row has two lines. */
export function Table<T>({ rows, keyOf, ...rest }: TableProps<T>) {
  const flat = useMemo(
    () =>
      rows.map((row, index) => ({
        key: keyOf(row),
        row,
        level: 1,
        expanded: undefined,
        position: index + 1,
        siblings: rows.length,
        parent: undefined,
      })),
    [rows, keyOf],
  );
  return <Grid {...rest} rows={flat} tree={false} />;
}
