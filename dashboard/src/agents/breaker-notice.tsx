import { useQuery } from "@tanstack/react-query";
import { call, useAct } from "../api/act.ts";
import { ask } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { Notice } from "../parts/notice.tsx";
import { Plain } from "../parts/plain.tsx";

/** Why an agent or a provider is held back just now, and the way to use it again at once. Nothing when it is not. */
export function BreakerNotice({ subject }: { subject: string }) {
  const { data } = useQuery(ask("breaker.list", { limit: 500 }));
  const { busy, act } = useAct();
  const breaker = data?.items.find((one) => one.subject === subject);
  if (!breaker || breaker.state === "closed") return null;
  return (
    <Notice
      kind="warn"
      title={breaker.state === "open" ? `held back after ${breaker.failures} failures` : "being tried out again"}
      action={
        <Button busy={busy} onClick={() => act(() => call("breaker.reset", { subject }))}>
          Use it now
        </Button>
      }
    >
      {breaker.reason !== null && <Plain text={breaker.reason} />}
      {breaker.state === "open" && breaker.retryAt !== null && (
        <>
          {" "}
          It is tried out again at <span className="num nowrap">{new Date(breaker.retryAt).toLocaleTimeString()}</span>.
        </>
      )}
    </Notice>
  );
}
