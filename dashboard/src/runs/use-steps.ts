import { useQueries, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/client.ts";
import type { StepCard } from "./step-rows.ts";

const perPage = 200;

interface Steps {
  /** null: not known yet. */
  steps: readonly StepCard[] | null;
  /** The items of the groups that are open. */
  items: ReadonlyMap<string, { steps: readonly StepCard[]; more: boolean }>;
  toggle: (group: string, open: boolean) => void;
  error: unknown;
  refetch: () => void;
}

/** The steps of a run, and the items of the groups that were opened. A run with one group of few items shows them at once. */
export function useSteps(run: string): Steps {
  const [chosen, setChosen] = useState<ReadonlyMap<string, boolean>>(new Map());
  const { data, error, refetch } = useQuery(ask("run.steps", { id: run, items: false, limit: 500 }));
  const isOpen = ({ id, group }: StepCard): boolean => chosen.get(id) ?? (group !== null && group.wanted <= 20);
  const groups = (data?.items ?? []).filter((step) => step.group !== null && isOpen(step)).map(({ id }) => id);
  const asked = useQueries({ queries: groups.map((group) => ask("run.steps", { id: run, group, limit: perPage })) });
  return {
    steps: data?.items ?? null,
    items: new Map(
      groups.map((group, index) => [group, { steps: asked[index]?.data?.items ?? [], more: (asked[index]?.data?.next ?? null) !== null }]),
    ),
    toggle: (group, open) => setChosen((now) => new Map(now).set(group, open)),
    error,
    refetch: () => void refetch(),
  };
}
