import { Empty } from "../parts/empty.tsx";
import { Link } from "../parts/link.tsx";

export function NotFound() {
  return (
    <Empty
      kind="filtered"
      title="There is no such page"
      text="The address leads nowhere."
      action={<Link href="/inbox">To the inbox</Link>}
    />
  );
}
