import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { IconButton } from "./icon-button.tsx";
import { plainString } from "./plain-pieces.ts";

/**
 * Copies a text as it is seen: where it has hidden characters their marks are copied, so that pasting it into a terminal does what
 * was read.
 */
export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [state, setState] = useState<"ready" | "copied" | "refused">("ready");
  useEffect(() => {
    if (state === "ready") return undefined;
    const wait = setTimeout(() => setState("ready"), 2_000);
    return () => clearTimeout(wait);
  }, [state]);
  const copy = () => {
    navigator.clipboard.writeText(plainString(text)).then(
      () => setState("copied"),
      () => setState("refused"),
    );
  };
  return (
    <>
      <IconButton
        icon={state === "copied" ? Check : Copy}
        label={state === "refused" ? "The browser did not allow it: select and copy" : label}
        onClick={copy}
      />
      <span className="vh" role="status">
        {state === "copied" ? "Copied" : ""}
      </span>
    </>
  );
}
