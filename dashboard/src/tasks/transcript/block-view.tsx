import { ChevronDown, ChevronRight, Wrench } from "lucide-react";
import { memo, type ReactNode, useState } from "react";
import type { LiveText } from "../../live/live.ts";
import { Ansi } from "../../parts/ansi.tsx";
import { CodeBlock } from "../../parts/code-block.tsx";
import { Glyph } from "../../parts/glyph.tsx";
import { Icon } from "../../parts/icon.tsx";
import { Markdown } from "../../parts/markdown.tsx";
import { Notice } from "../../parts/notice.tsx";
import { Plain } from "../../parts/plain.tsx";
import type { AnyState } from "../../parts/state-look.ts";
import { type Block, type Call, callLine } from "./blocks.ts";

/** `open`: somebody looks for something inside, so nothing is folded. */
export const BlockView = memo(function BlockView({ block, open }: { block: Block; open: boolean }): ReactNode {
  switch (block.kind) {
    case "prompt":
      return (
        <div className="said">
          <span className="vh">You said:</span>
          <Markdown text={block.text} />
        </div>
      );
    case "text":
      return <Markdown text={block.text} />;
    case "thought":
      return (
        <Fold open={open} title={<span className="t3">Thought</span>}>
          <Markdown text={block.text} />
        </Fold>
      );
    case "calls":
      return (
        <div className="calls">
          {block.calls.map((call, index) => (
            <CallView key={index} call={call} open={open} />
          ))}
        </div>
      );
    case "permission":
      return (
        <Notice
          kind="warn"
          title={
            <>
              Asked to use <Plain text={block.name} />
            </>
          }
        >
          <code>
            <Plain text={block.text} />
          </code>
        </Notice>
      );
    case "answer":
      return (
        <div className="said">
          <span className="t3">Answer: </span>
          <Plain text={block.text} />
        </div>
      );
    case "check":
    case "setup":
      return <Ran block={block} open={open} />;
    case "note":
      return (
        <Notice>
          <Plain text={block.text} />
        </Notice>
      );
    case "outcome":
      return block.state === "failed" ? (
        <Notice kind="fail" title="The turn failed.">
          <Plain text={block.text} />
        </Notice>
      ) : (
        <p className="t3 flex">
          <Glyph state={block.state === "done" ? "done" : "paused"} />{" "}
          <Plain text={[block.state, block.text].filter(Boolean).join(": ").slice(0, 500)} />
        </p>
      );
  }
});

const stateOfCall: Record<Call["state"], AnyState> = { started: "running", done: "done", failed: "failed" };

function CallView({ call, open }: { call: Call; open: boolean }) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  // An error is never folded away.
  const isOpen = chosen ?? (open || call.state === "failed");
  return (
    <>
      <button type="button" className="call" aria-expanded={isOpen} onClick={() => setChosen(!isOpen)}>
        <Glyph state={stateOfCall[call.state]} label />
        <Icon of={Wrench} />
        <span className="clip">
          <b>
            <Plain text={call.name} />
          </b>{" "}
          <code>
            <Plain text={callLine(call)} />
          </code>
        </span>
        <Icon of={isOpen ? ChevronDown : ChevronRight} />
      </button>
      {isOpen && (
        <div className="call__inside">
          {call.input !== "" && <CodeBlock title="Input" text={pretty(call.input)} />}
          {call.output !== "" && <Ansi text={call.output} label={`Output of ${call.name}`} />}
          {call.input === "" && call.output === "" && <p className="t3">Nothing was told.</p>}
        </div>
      )}
    </>
  );
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function Ran({ block, open }: { block: Extract<Block, { kind: "check" | "setup" }>; open: boolean }) {
  const failed = block.state === "failed";
  return (
    <Fold
      open={open || failed}
      title={
        <span className="flex clip">
          <Glyph state={failed ? "failed" : "done"} label />
          {block.kind === "check" ? "Check" : "Set-up"}{" "}
          <code className="clip">
            <Plain text={block.name} />
          </code>{" "}
          {block.state}
        </span>
      }
    >
      <Ansi text={block.text} numbers label={`Output of ${block.name}`} />
    </Fold>
  );
}

function Fold({ title, open, children }: { title: ReactNode; open: boolean; children: ReactNode }) {
  return (
    <details className="fold" open={open}>
      <summary>{title}</summary>
      {children}
    </details>
  );
}

/** What the agent says just now. */
export function LiveView({ live }: { live: readonly LiveText[] }) {
  return (
    <div className="turn transcript__live" aria-label="Being written">
      {live.map((piece, index) => (
        <div key={index} className={piece.kind === "text" ? undefined : "t3"}>
          {piece.kind === "text" ? <Markdown text={piece.text} /> : <Plain text={piece.text} />}
        </div>
      ))}
    </div>
  );
}
