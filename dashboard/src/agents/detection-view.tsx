import type { Detection } from "../../../src/agents/agent.ts";
import { CopyButton } from "../parts/copy-button.tsx";
import { Glyph } from "../parts/glyph.tsx";
import { Notice } from "../parts/notice.tsx";
import { Plain } from "../parts/plain.tsx";
import { stateClass } from "../parts/state-look.ts";
import { detectionGlyph } from "./agent-words.ts";

/** Whether it can be used on this machine: one of four words. */
export function DetectionMark({ state }: { state: Detection["state"] }) {
  const glyph = detectionGlyph[state];
  return (
    <span className={`st st--${stateClass(glyph)}`}>
      <Glyph state={glyph} />
      <span>{state}</span>
    </span>
  );
}

/** The one command (or sentence) that mends something. */
export function Fix({ text }: { text: string }) {
  return (
    <span className="cmd1 fix">
      <code className="clip">
        <Plain text={text} />
      </code>
      <CopyButton text={text} label="Copy the fix" />
    </span>
  );
}

/** What the last look found, and what mends it. */
export function DetectionNotice({ detection: { state, message, fix } }: { detection: Detection }) {
  if (state === "ready") return null;
  return (
    <Notice kind={state === "signed out" ? "warn" : "fail"} title={state}>
      {message !== null && <Plain text={message} />}
      {fix !== null && (
        <div className="fix-line">
          <Fix text={fix} />
        </div>
      )}
    </Notice>
  );
}
