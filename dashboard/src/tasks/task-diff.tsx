import { useQuery } from "@tanstack/react-query";
import type { TaskView } from "../../../src/tasks/task.ts";
import { ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Diff } from "../parts/diff.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Loading } from "../parts/loading.tsx";

/** Everything that the task changed. */
export function TaskDiff({ task }: { task: TaskView }) {
  const { data, error, refetch } = useQuery(ask("task.diff", { id: task.id }));
  if (error && !data) return <Failure error={problemOf(error)} retry={() => void refetch()} />;
  if (!data) return <Loading label="Loading the diff" lines={6} />;
  if (data.diff === "")
    return (
      <Empty
        kind="clear"
        title="Nothing is changed"
        text={task.state === "done" ? "The work is done without a change of files." : "No change yet."}
      />
    );
  return <Diff text={data.diff} />;
}
