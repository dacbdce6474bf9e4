import { ArrowDown } from "lucide-react";
import { useDeferredValue, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Button } from "../../parts/button.tsx";
import { Empty } from "../../parts/empty.tsx";
import { Failure } from "../../parts/failure.tsx";
import { Loading } from "../../parts/loading.tsx";
import { TextField } from "../../parts/text-field.tsx";
import { Toolbar } from "../../parts/toolbar.tsx";
import { useKeys } from "../../shell/keys.ts";
import { BlockView, LiveView } from "./block-view.tsx";
import { blockHas, isError, type TurnBlocks } from "./blocks.ts";
import { TurnHead } from "./turn-head.tsx";
import { useTranscript } from "./use-transcript.ts";

/** So many pieces of the conversation are on the page at first; the earlier ones come with a press. */
const shownAtFirst = 150;
/** While more of it is read, and for the first moment: the rest is drawn when there is time. */
const drawnAtOnce = 30;
/** What is found is shown unfolded, which is more to draw. */
const foundAtFirst = 40;

/** What was said and done, as it goes on. */
export function TranscriptView({ session, agent }: { session: string; agent: string }) {
  const { turns: all, live, complete, problem, retry } = useTranscript(session);
  const [text, setText] = useState("");
  const [more, setMore] = useState(0);
  const find = useRef<HTMLInputElement>(null);
  const sought = useDeferredValue(text);
  const words = useMemo(() => sought.toLowerCase().split(/\s+/).filter(Boolean), [sought]);
  const wanted = useMemo(() => (words.length === 0 ? all : matching(all, words)), [all, words]);
  const drawn = useDeferredValue(complete ? shownAtFirst : drawnAtOnce, drawnAtOnce);
  const most = (words.length === 0 ? drawn : foundAtFirst) + more;
  const { turns, hidden } = useMemo(() => lastBlocks(wanted, most), [wanted, most]);
  const count = wanted.reduce((sum, { blocks }) => sum + blocks.length, 0);
  const scroll = useFollow(turns, live);
  const step = (by: 1 | -1): void => scroll.toError(by);
  useKeys([
    { keys: "/", label: "find", run: () => find.current?.focus() },
    { keys: "n", label: "next error", run: () => step(1) },
    { keys: "p", label: "previous error", quiet: true, run: () => step(-1) },
    { keys: "G", label: "latest", run: scroll.toEnd },
  ]);
  return (
    <div className="transcript">
      <Toolbar label="Find in the conversation" end={words.length > 0 && <span className="t3">{count} found</span>}>
        <TextField
          label="Find"
          labelHidden
          keys="/"
          placeholder="Find in the whole conversation"
          value={text}
          onChange={setText}
          ref={find}
        />
      </Toolbar>
      {problem && <Failure error={problem} retry={retry} />}
      <div
        className="transcript__scroll"
        ref={scroll.box}
        onScroll={scroll.onScroll}
        role="log"
        aria-label="Transcript"
        aria-live="off"
        tabIndex={0}
      >
        {hidden > 0 && (
          <div className="transcript__earlier">
            <Button kind="quiet" onClick={() => setMore((now) => now + 1_000)}>
              Show {Math.min(hidden, 1_000).toLocaleString("en")} of {hidden.toLocaleString("en")} earlier
            </Button>
          </div>
        )}
        {turns.map((turn) => (
          <article key={turn.turn} className="turn" aria-label={`Turn ${turn.turn}`}>
            <TurnHead turn={turn} agent={agent} />
            {turn.blocks.map((block) => (
              <div key={block.key} data-error={isError(block) || undefined}>
                <BlockView block={block} open={words.length > 0} />
              </div>
            ))}
          </article>
        ))}
        {live.length > 0 && words.length === 0 && <LiveView live={live} />}
        {!complete && !problem && <Loading label="Loading the conversation" />}
        {complete && all.length === 0 && live.length === 0 && (
          <Empty kind="clear" title="Nothing was said yet" text="It stands here as soon as the agent begins." />
        )}
        {complete && all.length > 0 && count === 0 && (
          <Empty kind="filtered" title="Not found" action={<Button onClick={() => setText("")}>Show all</Button>} />
        )}
      </div>
      {!scroll.following && (
        <Button icon={ArrowDown} keys="G" onClick={scroll.toEnd}>
          Jump to latest
        </Button>
      )}
    </div>
  );
}

const matching = (turns: readonly TurnBlocks[], words: readonly string[]): TurnBlocks[] =>
  turns
    .map((turn) => ({ ...turn, blocks: turn.blocks.filter((block) => blockHas(block, words)) }))
    .filter(({ blocks }) => blocks.length > 0);

/** The last `most` blocks, with the turns that they belong to. */
function lastBlocks(turns: readonly TurnBlocks[], most: number): { turns: TurnBlocks[]; hidden: number } {
  const kept: TurnBlocks[] = [];
  let left = most;
  for (const turn of turns.toReversed()) {
    if (left <= 0) break;
    kept.unshift(turn.blocks.length <= left ? turn : { ...turn, blocks: turn.blocks.slice(-left) });
    left -= turn.blocks.length;
  }
  const all = turns.reduce((sum, { blocks }) => sum + blocks.length, 0);
  return { turns: kept, hidden: all - kept.reduce((sum, { blocks }) => sum + blocks.length, 0) };
}

/** Stays at the end while it is there; whoever scrolls up is left alone. */
function useFollow(...changes: readonly unknown[]) {
  const box = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  useLayoutEffect(() => {
    if (following && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [following, ...changes]);
  const toEnd = (): void => {
    setFollowing(true);
    box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  const onScroll = (): void => {
    const at = box.current;
    if (at) setFollowing(at.scrollHeight - at.scrollTop - at.clientHeight < 48);
  };
  const toError = (by: 1 | -1): void => {
    const at = box.current;
    if (!at) return;
    const errors = [...at.querySelectorAll<HTMLElement>("[data-error]")];
    const top = at.getBoundingClientRect().top + 8;
    const next =
      by === 1
        ? errors.find((one) => one.getBoundingClientRect().top > top + 8)
        : errors.findLast((one) => one.getBoundingClientRect().top < top - 8);
    if (!next) return;
    setFollowing(false);
    next.scrollIntoView({ block: "start" });
  };
  return { box, following, toEnd, onScroll, toError };
}
