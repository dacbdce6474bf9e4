import { type RefObject, useState } from "react";
import { call, useAct } from "../api/act.ts";
import { Button } from "../parts/button.tsx";
import { useKeys } from "../shell/keys.ts";

/** What a person says to the agent, in the same session and clone. Nothing is sent by looking. */
export function Composer({ task, reason, field }: { task: string; reason: string | null; field: RefObject<HTMLTextAreaElement | null> }) {
  const [text, setText] = useState("");
  const { busy, act } = useAct();
  const send = (): void => {
    if (text.trim() === "" || reason !== null) return;
    act(
      () => call("task.reply", { id: task, text: text.trim() }),
      () => setText(""),
    );
  };
  useKeys([{ keys: "mod+enter", label: "send", typing: true, quiet: true, run: send }]);
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="composer__box">
        <textarea
          ref={field}
          rows={1}
          aria-label="Reply to the agent"
          placeholder={reason === null ? "Say what should be different; the agent goes on in its session (r)" : `No reply now: ${reason}`}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <div className="flex">
          <span className="push">
            <Button
              kind="plain"
              keys="mod+Enter"
              busy={busy}
              disabledReason={reason ?? (text.trim() === "" ? "nothing is written" : undefined)}
              onClick={send}
            >
              Send
            </Button>
          </span>
        </div>
      </div>
    </form>
  );
}
