import { call, type Behaviour } from "./behaviour.ts";

/** For everything that the demo model cannot do: it looks around, and says what it is. */
export function* introduce(): Behaviour {
  const listed = yield* call("I look at what is here.", "list", { depth: 4 });
  const files = listed.ok ? listed.output.split("\n").filter((path) => path !== "" && !path.endsWith("/") && !path.startsWith("[")) : [];
  const some = files.slice(0, 5).join(", ");
  return [
    "I am the built-in demo model: a small program and no language model, so I cannot do this.",
    "I can repair simple bugs in JavaScript that a failing test shows, plan such repairs, sum up results and add commits to a CHANGELOG.md.",
    files.length === 0
      ? "This folder is empty."
      : `This folder has ${files.length} files (${some}${files.length > 5 ? ", ..." : ""}); I changed none of them.`,
    "For other work choose a real agent: `tutti agents` shows which are ready.",
  ].join("\n");
}
