import { useQuery } from "@tanstack/react-query";
import { ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Diff } from "../parts/diff.tsx";
import { Failure } from "../parts/failure.tsx";
import { Loading } from "../parts/loading.tsx";

/** What the work changed, to be judged in the list. */
export function Review({ task }: { task: string }) {
  const { data, error, refetch } = useQuery(ask("task.diff", { id: task }));
  if (error) return <Failure error={problemOf(error)} retry={() => void refetch()} />;
  if (!data) return <Loading label="Loading the change" />;
  return <Diff text={data.diff} />;
}
