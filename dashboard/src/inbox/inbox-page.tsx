import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import type { InboxItem } from "../../../src/inbox/inbox.ts";
import { call, useAct } from "../api/act.ts";
import { pages } from "../api/client.ts";
import { problemOf } from "../api/problem.ts";
import { Age } from "../parts/age.tsx";
import { Button } from "../parts/button.tsx";
import { Failure } from "../parts/failure.tsx";
import { Header } from "../parts/header.tsx";
import { List, RowLines } from "../parts/list.tsx";
import { Loading } from "../parts/loading.tsx";
import { NeedsPill } from "../parts/needs-pill.tsx";
import { usePhone } from "../parts/phone.ts";
import { Plain } from "../parts/plain.tsx";
import { Segments } from "../parts/segments.tsx";
import { Split } from "../parts/split.tsx";
import { Tag } from "../parts/tag.tsx";
import { useToast } from "../parts/toasts.tsx";
import { useKeys } from "../shell/keys.ts";
import { AllClear } from "./all-clear.tsx";
import { type Calm, calm, settled } from "./calm.ts";
import { groupTitles, leadsTo, stateOf } from "./item-look.ts";
import { Peek } from "./peek.tsx";

type Item = InboxItem;

/** What waits for a person, in the order of attention, and the answer to it without leaving the list. */
export function InboxPage() {
  const search = useSearch({ from: "/inbox" });
  const navigate = useNavigate({ from: "/inbox" });
  const phone = usePhone();
  const query = useInfiniteQuery(pages("inbox.list", { limit: 100, group: search.group, project: search.project }));
  const fresh = query.data?.pages.flatMap(({ items }) => items);
  const counts = query.data?.pages[0]?.counts;
  const { shown, hold, release, dealtWith } = useCalm(fresh, `${search.group} ${search.project}`);
  const items = shown.items;
  const open = items.filter(({ id }) => !shown.gone.has(id));
  const selectedId = search.item ?? (phone ? undefined : (open[0] ?? items[0])?.id);
  const selected = items.find(({ id, folded }) => id === selectedId || (selectedId !== undefined && folded.includes(selectedId))) ?? null;
  const select = (item: string | undefined): void => void navigate({ search: (now) => ({ ...now, item }), replace: true });
  const { act } = useAct();
  const toast = useToast();

  /** Turns to another item; what was gone may leave now. */
  const go = (step: 1 | -1): void => {
    const at = items.findIndex(({ id }) => id === selected?.id);
    const next = items[Math.min(items.length - 1, Math.max(0, at + step))];
    if (next) select(next.id);
    release();
  };
  /** After an answer: the next one that waits, or nothing. */
  const advance = (): void => {
    const at = open.findIndex(({ id }) => id === selected?.id);
    if (selected) dealtWith(selected.id);
    select(phone ? undefined : (open[at + 1] ?? open[at - 1])?.id);
  };
  const mark = (item: Item, mark: "done" | "snoozed"): void =>
    act(
      () => call("inbox.mark", { item: item.id, mark }),
      () => {
        advance();
        const undo = (): void => act(() => call("inbox.mark", { item: item.id, mark: "open" }));
        toast.show({ title: mark === "done" ? "Done" : "Snoozed for an hour", text: item.title, action: { label: "Undo", act: undo } });
      },
    );
  const openItem = (item: Item): void => {
    const to = leadsTo(item);
    if (to) void navigate({ to });
  };
  useKeys([
    { keys: "j", label: "next", run: () => go(1) },
    { keys: "k", label: "previous", run: () => go(-1) },
    { keys: "]", label: "next", quiet: true, run: () => go(1) },
    { keys: "[", label: "previous", quiet: true, run: () => go(-1) },
    { keys: "ArrowDown", label: "next", quiet: true, run: () => go(1) },
    { keys: "ArrowUp", label: "previous", quiet: true, run: () => go(-1) },
    ...(selected
      ? [
          { keys: "Enter", label: "open", run: () => openItem(selected) },
          { keys: "z", label: "snooze", run: () => mark(selected, "snoozed") },
          { keys: "e", label: "done", run: () => mark(selected, "done") },
          { keys: "Escape", label: "back", quiet: true, run: () => select(undefined) },
        ]
      : []),
  ]);
  useFoldBack(query.hasNextPage, query.isFetchingNextPage, () => void query.fetchNextPage());

  const list = (
    <div className="inbox__list" onPointerEnter={hold} onPointerLeave={release}>
      {query.error && !fresh ? (
        <Failure error={problemOf(query.error)} retry={() => void query.refetch()} />
      ) : !fresh ? (
        <Loading label="Loading the inbox" lines={6} />
      ) : (
        <List
          label="What waits for you"
          items={items}
          keyOf={({ id }) => id}
          groupOf={({ group }) => ({ key: group, title: groupTitles[group], count: counts?.[group] })}
          tone={({ id, group }) => (shown.gone.has(id) ? "gone" : group === "blocked" ? undefined : "quiet")}
          row={(item) => <Row item={item} gone={shown.gone.has(item.id)} />}
          selected={selected?.id ?? null}
          onSelect={(key) => select(key)}
          onOpen={() => selected && openItem(selected)}
          updates={shown.waiting}
          onUpdates={release}
          empty={<AllClear group={search.group ?? null} onAll={() => void navigate({ search: {} })} />}
          end={
            query.hasNextPage ? (
              <Button kind="quiet" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                Load more
              </Button>
            ) : undefined
          }
        />
      )}
    </div>
  );
  return (
    <div className="page">
      <Header
        title="Inbox"
        beside={
          <>
            {counts && counts.total > 0 && (
              <>
                <NeedsPill count={counts.total} /> <span className="t2">need you</span>
              </>
            )}
            <Segments
              label="Which of them"
              value={search.group ?? "all"}
              onChange={(group) =>
                void navigate({ search: (now) => ({ ...now, group: group === "all" ? undefined : group, item: undefined }) })
              }
              segments={[
                { value: "all", title: "All" },
                { value: "blocked", title: "Blocked", count: counts?.blocked },
                { value: "review", title: "Review", count: counts?.review },
                { value: "failed", title: "Failed", count: counts?.failed },
              ]}
            />
          </>
        }
      />
      <Split
        name="inbox"
        first={list}
        second={
          selected ? (
            <Peek
              key={selected.id}
              item={selected}
              gone={shown.gone.has(selected.id)}
              position={`${items.indexOf(selected) + 1} of ${items.length}`}
              onStep={go}
              onClose={() => select(undefined)}
              onAnswered={advance}
              onMark={(kind) => mark(selected, kind)}
            />
          ) : null
        }
      />
    </div>
  );
}

function Row({ item, gone }: { item: Item; gone: boolean }) {
  const { kind, agent, projectName, waiting, risk } = item;
  return (
    <RowLines
      state={gone ? "done" : stateOf(item)}
      title={<Plain text={item.title} />}
      mono={kind === "permission"}
      age={<Age at={item.since} />}
      facts={[gone ? "resolved" : kind, agent !== null && <Plain text={agent} />, <Plain text={projectName} />]}
      end={
        <>
          {waiting > 1 && <Tag>×{waiting}</Tag>}
          {risk !== null && <Tag high={risk === "high"}>{risk === "high" ? "high risk" : "low"}</Tag>}
        </>
      }
    />
  );
}

interface Calmed {
  shown: Calm<Item>;
  hold: () => void;
  release: () => void;
  dealtWith: (id: string) => void;
}

/** The list as it is shown, which changes only when it may. */
function useCalm(fresh: Item[] | undefined, filter: string): Calmed {
  const [shown, setShown] = useState<Calm<Item>>(settled<Item>([]));
  const held = useRef(false);
  const own = useRef(new Set<string>());
  const [seen, setSeen] = useState<{ fresh: Item[] | undefined; filter: string }>({ fresh: undefined, filter });
  const latest = useRef(fresh);
  latest.current = fresh;
  const same = seen.filter === filter && JSON.stringify(seen.fresh) === JSON.stringify(fresh);
  if (!same) {
    setSeen({ fresh, filter });
    if (fresh) setShown(seen.filter === filter && seen.fresh ? calm(shown, fresh, held.current, own.current) : settled(fresh));
  }
  return {
    shown,
    hold: () => void (held.current = true),
    dealtWith: (id) => void own.current.add(id),
    release: () => {
      held.current = false;
      setShown(settled(latest.current ?? []));
    },
  };
}

/** Groups that stand behind many blocked items are still found: the first pages are loaded without a press. */
function useFoldBack(hasMore: boolean, loading: boolean, load: () => void): void {
  const loaded = useRef(1);
  useEffect(() => {
    if (!hasMore || loading || loaded.current >= 5) return;
    loaded.current += 1;
    load();
  }, [hasMore, loading, load]);
}
