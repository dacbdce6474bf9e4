import type { AgentEvent, SessionSpec } from "../backend.ts";
import type { ToolName } from "./tools/tool.ts";

type PermissionOptions = Extract<AgentEvent, { kind: "permission" }>["options"];

/** Who may do what without being asked: a person's leave, once or for the session. */
export interface Leave {
  mustAsk(tool: ToolName): boolean;
  options(tool: ToolName): PermissionOptions;
  /** Resolves with the answer; rejects when the signal aborts. To be called before the question is put: the answer may come at once. */
  ask(id: string, tool: ToolName, signal: AbortSignal): Promise<boolean>;
  answer(id: string, option: string | null): void;
}

const inWords: Partial<Record<ToolName, string>> = { write: "write files", edit: "edit files", shell: "run commands" };

export function makeLeave(permissions: SessionSpec["permissions"]): Leave {
  const given = new Set<ToolName>();
  const open = new Map<string, (option: string | null) => void>();
  return {
    mustAsk: (tool) => permissions === "ask" && !given.has(tool),
    options: (tool) => [
      { id: "once", label: "Allow this once", allows: true, lasting: false },
      { id: "session", label: `Allow it to ${inWords[tool] ?? tool} for this session`, allows: true, lasting: true },
      { id: "deny", label: "Deny", allows: false, lasting: false },
    ],
    async ask(id, tool, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<string | null>();
      // The caller may be told of the abort elsewhere and never come back for the answer.
      promise.catch(() => undefined);
      const refuse = (): void => reject(signal.reason);
      open.set(id, resolve);
      signal.addEventListener("abort", refuse, { once: true });
      try {
        signal.throwIfAborted();
        const option = await promise;
        if (option === "session") given.add(tool);
        return option === "session" || option === "once";
      } finally {
        open.delete(id);
        signal.removeEventListener("abort", refuse);
      }
    },
    answer: (id, option) => open.get(id)?.(option),
  };
}
