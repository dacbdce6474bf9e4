import { useInfiniteQuery } from "@tanstack/react-query";
import { pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Age } from "../parts/age.tsx";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Failure } from "../parts/failure.tsx";
import { Link } from "../parts/link.tsx";
import { Loading } from "../parts/loading.tsx";
import { Plain } from "../parts/plain.tsx";
import { Status } from "../parts/status.tsx";

const atOnce = 20;

/** The conversations that an agent has now; each leads to its task. */
export function AgentWork({ agent, usable }: { agent: string; usable: boolean }) {
  const query = useInfiniteQuery(pages("fleet.sessions", { agent, state: ["needs you", "running", "starting"], limit: atOnce }));
  if (query.error && !query.data) return <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />;
  if (!query.data) return <Loading label="Loading its work" />;
  const items = query.data.pages.flatMap((page) => page.items);
  if (items.length === 0) {
    if (!usable) return <p className="t2">Nothing comes to it until it can be used.</p>;
    return <Empty kind="clear" title="It is free" text="Work that fits it comes to it by itself." />;
  }
  return (
    <>
      <ul className="work" aria-label="Its sessions">
        {items.map(({ task, title, state, reason, since }) => (
          <li key={task} className="work__row">
            <Status state={state} reason={reason} />
            <Link className="work__task clip" href={`/tasks/${task}`}>
              <span className="mono">{task}</span> <Plain text={title} />
            </Link>
            <Age at={since} />
          </li>
        ))}
      </ul>
      {query.hasNextPage && (
        <Button kind="quiet" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Load more
        </Button>
      )}
    </>
  );
}
