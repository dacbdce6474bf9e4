import type { Problem } from "../api/problem.ts";
import { CodeBlock } from "../parts/code-block.tsx";
import { Mark } from "../parts/brand.tsx";

/** What a browser sees that was never let in, or no longer is: the one thing to do. */
export function Locked({ problem }: { problem: Problem | null }) {
  return (
    <main className="locked">
      <Mark />
      <h1>{problem?.code === "unauthenticated" && problem.why ? problem.message : "This browser is not let in"}</h1>
      <p>{problem?.why ? `${problem.why}. ` : ""}A link from the command line opens the dashboard once, and this browser stays let in.</p>
      <CodeBlock text="tutti open" />
      <p>No account is needed, and nothing is sent anywhere.</p>
    </main>
  );
}
