import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import type { Approval } from "../../../src/approvals/approval.ts";
import { call, useAct } from "../api/act.ts";
import { ask } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Button } from "../parts/button.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Failure } from "../parts/failure.tsx";
import { HoldButton } from "../parts/hold-button.tsx";
import { Loading } from "../parts/loading.tsx";
import { Notice } from "../parts/notice.tsx";
import { usePhone } from "../parts/phone.ts";
import { Plain } from "../parts/plain.tsx";
import { plainString } from "../parts/plain-pieces.ts";
import { RadioCards } from "../parts/radio-cards.tsx";
import { TextArea } from "../parts/text-area.tsx";
import { useKeys } from "../shell/keys.ts";
import { Material } from "./material.tsx";
import "./answer.css";
import { readAction } from "./read-action.ts";

interface AnswerPanelProps {
  /** The approval's id. */
  id: string;
  /** Identical requests that are answered with it. */
  folded?: readonly string[];
  risk?: "high" | "low" | null;
  risks?: readonly string[];
  onAnswered?: () => void;
}

/** One question to a person: what it is about, exactly; what may be answered; and the answer. */
export function AnswerPanel(props: AnswerPanelProps) {
  const { data, error, refetch } = useQuery(ask("approval.get", { id: props.id }));
  if (error) return <Failure error={problemOf(error)} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  return (
    <div className="answer">
      {props.risk === "high" && (
        <Notice kind="fail" title="High risk.">
          {(props.risks ?? []).join("; ")}
        </Notice>
      )}
      <h3 className="answer__question">
        <Plain text={data.question} />
      </h3>
      <Material approval={data} />
      {data.state === "open" ? <Answer key={data.id} approval={data} {...props} /> : <Answered approval={data} />}
    </div>
  );
}

function Answered({ approval }: { approval: Approval }) {
  return (
    <Notice kind="info" title={approval.state === "expired" ? "Nobody answered in time" : `Answered "${wordsOf(approval.answer ?? "")}"`}>
      {approval.answeredBy !== null && `by ${approval.answeredBy}`}
      {approval.comment !== null && (
        <>
          : <Plain text={approval.comment} />
        </>
      )}
    </Notice>
  );
}

function Answer({ approval, folded = [], risk = null, onAnswered }: AnswerPanelProps & { approval: Approval }) {
  const phone = usePhone();
  const { busy, act } = useAct();
  const [chosen, setChosen] = useState(approval.options[0] ?? "yes");
  const [comment, setComment] = useState("");
  const [confirming, setConfirming] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const no = approval.options.at(-1) ?? "no";
  // What is risky is judged one by one.
  const ids = risk === "high" ? [approval.id] : [approval.id, ...folded.filter((id) => id !== approval.id)];
  const send = (answer: string): void => {
    setConfirming(false);
    // The hash of what was shown goes along: another action than this is not allowed by this answer.
    act(async () => {
      for (const id of ids)
        await call("approval.answer", { id, answer, hash: approval.hash, ...(comment.trim() ? { comment: comment.trim() } : {}) });
    }, onAnswered);
  };
  const allow = (): void => (risk === "high" && chosen !== no ? setConfirming(true) : send(chosen));
  useKeys([
    { keys: "a", label: verbOf(chosen, approval), run: allow },
    { keys: "x", label: approval.kind === "permission" ? "reject" : wordsOf(no), run: () => send(no) },
    { keys: "r", label: "reply", run: () => field.current?.focus() },
    { keys: "mod+enter", label: "send", typing: true, quiet: true, run: allow },
    ...approval.options
      .slice(0, 9)
      .map((option, index) => ({ keys: String(index + 1), label: wordsOf(option), quiet: true, run: () => setChosen(option) })),
  ]);
  const count = ids.length > 1 ? ` ×${ids.length}` : "";
  return (
    <>
      {approval.options.length > 2 && (
        <RadioCards
          label="The answer"
          value={chosen}
          onChange={setChosen}
          columns={2}
          cards={approval.options.map((option, index) => ({ value: option, title: <Plain text={option} />, keys: String(index + 1) }))}
        />
      )}
      <TextArea
        label="Reply"
        labelHidden
        rows={2}
        value={comment}
        onChange={setComment}
        ref={field}
        placeholder={approval.kind === "permission" ? "Say why, or what to do instead (r)" : "A remark, for those who read it later (r)"}
      />
      <div className="answer__act">
        {risk === "high" && phone && chosen !== no ? (
          <HoldButton onHeld={() => send(chosen)}>Hold to allow</HoldButton>
        ) : (
          <Button kind="primary" large grow keys="a" busy={busy} onClick={allow}>
            {verbOf(chosen, approval)}
            {count}
          </Button>
        )}
        <Button kind="danger" large keys="x" busy={busy} onClick={() => send(no)}>
          {approval.kind === "permission" ? "Reject" : <Plain text={no} />}
          {count}
        </Button>
      </div>
      <Dialog
        open={confirming}
        onClose={() => setConfirming(false)}
        title="Allow what is risky?"
        actions={
          <>
            <Button onClick={() => setConfirming(false)}>Not now</Button>
            <Button kind="danger" autoFocus onClick={() => send(chosen)}>
              {verbOf(chosen, approval)}
            </Button>
          </>
        }
      >
        <code>
          <Plain text={readAction(approval.action).command ?? approval.question} />
        </code>
      </Dialog>
    </>
  );
}

/**
 * An agent program's own word where it has one, "Approve" for a flow's plain yes. Only the last option refuses: another one that
 * calls itself "deny" is still a yes, and is named as one.
 */
function verbOf(answer: string, { kind, options }: Approval): string {
  const words = wordsOf(answer);
  if (kind === "ask") return answer === "yes" && options[0] === "yes" ? "Approve" : words;
  return answer === options.at(-1) || /^(?:allow|yes|approve)\b/i.test(answer) ? words : `Allow: ${words}`;
}

/** As a button can hold it, with what is not seen as marks. */
function wordsOf(answer: string): string {
  const words = plainString(answer, "all");
  return words.length > 60 ? `${words.slice(0, 59)}…` : words;
}
