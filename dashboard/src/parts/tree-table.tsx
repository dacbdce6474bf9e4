import { useMemo } from "react";
import { Grid, type GridProps } from "./grid.tsx";
import { treeRows } from "./rows.ts";

interface TreeTableProps<T> extends GridProps<T> {
  roots: readonly T[];
  keyOf: (row: T) => string;
  /** Undefined or empty: nothing below it. */
  childrenOf: (row: T) => readonly T[] | undefined;
  expanded: ReadonlySet<string>;
  onToggle: (key: string, open: boolean) => void;
}

/** A table whose rows hold rows: organisation, project, team, agent. Right opens, left closes or goes up. */
export function TreeTable<T>({ roots, keyOf, childrenOf, expanded, onToggle, ...rest }: TreeTableProps<T>) {
  const rows = useMemo(() => treeRows(roots, keyOf, childrenOf, expanded), [roots, keyOf, childrenOf, expanded]);
  return <Grid {...rest} rows={rows} tree onToggle={onToggle} />;
}
