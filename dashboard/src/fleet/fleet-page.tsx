import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Failure } from "../parts/failure.tsx";
import { Header } from "../parts/header.tsx";
import { Loading } from "../parts/loading.tsx";
import { Segments } from "../parts/segments.tsx";
import { useKeys } from "../shell/keys.ts";
import { ActivityStrip } from "./activity-strip.tsx";
import "./fleet.css";
import { FleetTable } from "./fleet-table.tsx";
import { FleetTree } from "./fleet-tree.tsx";
import { HotList } from "./hot-list.tsx";

/** Whether everything is healthy, busy and worth it: rolled up by the server, opened where it matters. */
export function FleetPage() {
  const { lens = "tree" } = useSearch({ from: "/fleet" });
  const navigate = useNavigate({ from: "/fleet" });
  const { data, error, refetch } = useQuery(ask("fleet.get", {}));
  const show = (to: "tree" | "table"): void =>
    void navigate({ search: (now) => ({ ...now, lens: to === "tree" ? undefined : to }), replace: true });
  useKeys([
    { keys: "1", label: "tree", run: () => show("tree") },
    { keys: "2", label: "table", run: () => show("table") },
  ]);
  return (
    <div className="page">
      <Header
        title="Fleet"
        beside={
          <Segments
            label="Lens"
            value={lens}
            onChange={show}
            segments={[
              { value: "tree", title: "Tree", keys: "1" },
              { value: "table", title: "Table", keys: "2" },
            ]}
          />
        }
      />
      {error && !data ? (
        <Failure error={problemOf(error)} retry={() => void refetch()} />
      ) : !data ? (
        <Loading label="Loading the fleet" lines={6} />
      ) : (
        <>
          <ActivityStrip fleet={data} />
          <div className="fleet">
            {lens === "tree" ? <FleetTree fleet={data} /> : <FleetTable fleet={data} />}
            {data.hot.length > 0 && <HotList hot={data.hot} />}
          </div>
        </>
      )}
    </div>
  );
}
