import { useInfiniteQuery } from "@tanstack/react-query";
import { pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Loading } from "../parts/loading.tsx";
import { Plain } from "../parts/plain.tsx";

/** Exactly what happened to it, in order. */
export function TaskEvents({ id }: { id: string }) {
  const query = useInfiniteQuery(pages("event.list", { task: id, limit: 200 }));
  if (query.error && !query.data) return <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />;
  if (!query.data) return <Loading label="Loading the events" lines={6} />;
  const events = query.data.pages.flatMap(({ items }) => items);
  if (events.length === 0) return <Empty kind="clear" title="Nothing has happened" />;
  return (
    <div className="task__pad">
      <ol className="files">
        {events.map(({ seq, type, at, data }) => (
          <li key={seq}>
            <details className="fold">
              <summary>
                <span className="num t3">{seq}</span>{" "}
                <time className="num t2" dateTime={new Date(at).toISOString()}>
                  {new Date(at).toLocaleTimeString()}
                </time>{" "}
                <b>{type}</b>{" "}
                <span className="t2">
                  <Plain text={[data["state"], data["reason"]].filter((one) => typeof one === "string").join(": ")} />
                </span>
              </summary>
              <pre className="mono">
                <Plain text={JSON.stringify(data, null, 2)} />
              </pre>
            </details>
          </li>
        ))}
      </ol>
      {query.hasNextPage && (
        <Button kind="quiet" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Load more
        </Button>
      )}
    </div>
  );
}
