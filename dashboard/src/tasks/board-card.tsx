import { Ellipsis } from "lucide-react";
import { useNavigate } from "@tanstack/react-router";
import { memo } from "react";
import { call, useAct } from "../api/act.ts";
import { Age } from "../parts/age.tsx";
import { IconButton } from "../parts/icon-button.tsx";
import { Link } from "../parts/link.tsx";
import { Menu } from "../parts/menu.tsx";
import { Monogram } from "../parts/monogram.tsx";
import { Plain } from "../parts/plain.tsx";
import { Tag } from "../parts/tag.tsx";
import { Tokens } from "../parts/tokens.tsx";
import type { Card } from "./board-page.tsx";
import { possible } from "./task-actions.ts";

/** One task: what, who, how it stands, what it changed. */
export const BoardCard = memo(function BoardCard({
  card,
  isSelected,
  isMarked,
  onSelect,
}: {
  card: Card;
  isSelected: boolean;
  isMarked: boolean;
  onSelect: (id: string) => void;
}) {
  const { id, title, agent, projectName, reason, message, verified, files, tokens, updatedAt, demo, run } = card;
  return (
    <article
      id={`card-${id}`}
      className="card"
      data-marked={isMarked || undefined}
      aria-current={isSelected || undefined}
      tabIndex={isSelected ? 0 : -1}
      onFocus={() => onSelect(id)}
      onClick={() => onSelect(id)}
    >
      <div className="flex">
        <Link className="mono t2" href={`/tasks/${id}`}>
          {id}
        </Link>
        {demo && <Tag>demo</Tag>}
        {isMarked && <Tag>selected</Tag>}
        <span className="push flex">
          <span className="t3">
            <Age at={updatedAt} />
          </span>
          <CardMenu card={card} />
        </span>
      </div>
      <h3 className="card__title">
        <Plain text={title} />
      </h3>
      {(message !== null || (reason !== null && reason !== "new")) && (
        <p className="card__line t2">
          <Plain text={message ?? reason ?? ""} />
        </p>
      )}
      <div className="flex t2 card__facts">
        {agent !== null && <Monogram name={agent} kind="agent" />}
        <span className="clip">
          <Plain text={projectName} />
        </span>
        {run !== null && <Link href={`/runs/${run}`}>{run}</Link>}
        {verified !== null && <span>{verified ? "verified" : "not verified"}</span>}
        {files !== null && files > 0 && (
          <span className="num">
            {files} {files === 1 ? "file" : "files"}
          </span>
        )}
        {tokens > 0 && (
          <span className="push">
            <Tokens n={tokens} short />
          </span>
        )}
      </div>
    </article>
  );
});

function CardMenu({ card }: { card: Card }) {
  const navigate = useNavigate();
  const { act } = useAct();
  // Whether there is something to merge is known by the number of changed files; the server has the last word.
  const can = possible({
    ...card,
    result:
      card.files === null
        ? null
        : { output: null, commit: card.files > 0 ? "some" : null, base: null, files: [], branch: null, note: null },
  });
  const open = (): void => void navigate({ to: "/tasks/$id", params: { id: card.id } });
  return (
    <Menu
      trigger={<IconButton icon={Ellipsis} label={`More about ${card.id}`} />}
      items={[
        { label: "Open", keys: "Enter", onSelect: open },
        { label: "Reply", disabledReason: can.reply ?? undefined, onSelect: open },
        {
          label: "Retry",
          keys: "R",
          disabledReason: can.retry ?? undefined,
          onSelect: () => act(() => call("task.retry", { id: card.id })),
        },
        { label: "Merge", disabledReason: can.merge ?? undefined, onSelect: () => act(() => call("task.merge", { id: card.id })) },
        "line",
        {
          label: "Stop",
          danger: true,
          keys: "S",
          disabledReason: can.stop ?? undefined,
          onSelect: () => act(() => call("task.stop", { id: card.id })),
        },
      ]}
    />
  );
}
