import { openWorkspaces } from "./open.ts";

/** Another process of the same home, for gate.test.ts: refreshes one mirror until it is killed, and tells each round. */
const [, , home = "", source = "", path = ""] = process.argv;
const workspaces = await openWorkspaces({ home, path, sandbox: "none", now: Date.now, personHome: "/nonexistent" });
for (;;) {
  const told = await workspaces.refresh({ project: "shop", source, baseBranch: "main" }).then(
    () => "refreshed",
    (error: unknown) => String(error),
  );
  process.send?.(told);
}
