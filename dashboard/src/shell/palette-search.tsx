import { Autocomplete } from "@base-ui/react/autocomplete";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ask } from "../api/client.ts";
import { Plain } from "../parts/plain.tsx";
import { places } from "./places.ts";

interface Target {
  href: string;
  label: string;
  note: string;
}

/** The field and what is found by it. Loaded for itself: what it is made of is a sixth of the first screen's size. */
export function Search({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const tasks = useQuery(ask("task.list", { limit: 100 }));
  const runs = useQuery(ask("run.list", { limit: 50 }));
  const targets = useMemo<Target[]>(
    () => [
      ...places.map(({ href, label, keys }) => ({ href, label, note: keys })),
      ...(runs.data?.items ?? []).map(({ id, flow, state }) => ({ href: `/runs/${id}`, label: `${id} ${flow}`, note: state })),
      ...(tasks.data?.items ?? []).map(({ id, title, state }) => ({ href: `/tasks/${id}`, label: `${id} ${title}`, note: state })),
    ],
    [tasks.data, runs.data],
  );
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = targets.filter(({ label }) => words.every((word) => label.toLowerCase().includes(word))).slice(0, 12);
  const go = ({ href }: Target): void => {
    onClose();
    void navigate({ to: href });
  };
  return (
    <Autocomplete.Root
      items={found}
      filter={null}
      value={text}
      onValueChange={setText}
      itemToStringValue={({ label }: Target) => label}
      open
      inline
      autoHighlight
    >
      <Autocomplete.Input className="input palette__input" aria-label="Screen, task or run" placeholder="Screen, task or run" autoFocus />
      <Autocomplete.List className="palette__list">
        {(target: Target) => (
          <Autocomplete.Item key={target.href} value={target} className="palette__item" onClick={() => go(target)}>
            <span className="clip">
              <Plain text={target.label} />
            </span>
            <span className="t3">{target.note}</span>
          </Autocomplete.Item>
        )}
      </Autocomplete.List>
      {found.length === 0 && <p className="t3">Nothing is called that.</p>}
    </Autocomplete.Root>
  );
}
