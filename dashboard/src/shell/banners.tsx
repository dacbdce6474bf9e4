import { useConnection } from "../live/live.ts";
import { Age } from "../parts/age.tsx";
import { Notice } from "../parts/notice.tsx";

/** What stands above every page: that what is seen may be old. */
export function Banners() {
  const connection = useConnection();
  if (connection.state !== "stale") return null;
  return (
    <div role="status">
      <Notice kind="warn" title="Stale">
        The server does not answer since <Age at={connection.since} />. What you see may be older than that; it goes on by itself when the
        server is back.
      </Notice>
    </div>
  );
}
