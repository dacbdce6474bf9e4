import { useQuery } from "@tanstack/react-query";
import { ask } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Link } from "../parts/link.tsx";

/** Nothing waits: what goes on meanwhile, or that a filter hides the rest. */
export function AllClear({ group, onAll }: { group: string | null; onAll: () => void }) {
  const { data } = useQuery(ask("fleet.get", {}));
  if (group !== null) {
    return (
      <Empty
        kind="filtered"
        title="Nothing of this kind"
        text={`Only "${group}" is shown.`}
        action={<Button onClick={onAll}>Show all</Button>}
      />
    );
  }
  const { running = 0, starting = 0, queued = 0 } = data?.counts ?? {};
  const works = running + starting;
  if (data && works + queued === 0 && data.projects.length === 0) {
    return (
      <Empty
        kind="first"
        title="What needs you comes here"
        text="Questions of agents, work that is ready for review, and what failed. Begin with a repository."
        action={<Link href="/projects">Add a project</Link>}
        cli="tutti projects add ."
      />
    );
  }
  return (
    <Empty
      kind="clear"
      title="All clear"
      text={`Nothing waits for you. ${works} running, ${queued} queued.`}
      action={<Link href="/fleet">To the fleet</Link>}
    />
  );
}
