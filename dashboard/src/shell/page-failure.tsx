import { problemOf } from "../api/problem.ts";
import { Failure } from "../parts/failure.tsx";

/** A fault of a page takes this page away, never the others. */
export function PageFailure({ error, reset }: { error: unknown; reset: () => void }) {
  return <Failure error={problemOf(error)} retry={reset} />;
}
