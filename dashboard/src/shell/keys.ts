import { useEffect, useRef, useSyncExternalStore } from "react";
import { nameOf, stepOf } from "./key-sequence.ts";
import { preferencesNow } from "./preferences.ts";

/** What a key does on what is shown now. The newest binding of a key wins: a peek's over its page's, a page's over the shell's. */
export interface Binding {
  /** "a", "Enter", "mod+k", "g i". */
  keys: string;
  /** In the status bar and in the list of all keys; a word or two. */
  label: string;
  run(event: KeyboardEvent): void;
  /** Only in the list of all keys, not in the status bar. */
  quiet?: boolean;
  /** Also while a field has the focus (mod+Enter). */
  typing?: boolean;
}

interface Layer {
  bindings: readonly Binding[];
}

const sequenceMs = 1_200;

let layers: Layer[] = [];
let shown: readonly Binding[] = [];
let pending = "";
let forget: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function changed(): void {
  const seen = new Set<string>();
  shown = layers
    .toReversed()
    .flatMap(({ bindings }) => bindings)
    .filter(({ keys }) => !seen.has(keys) && seen.add(keys));
  for (const listener of listeners) listener();
}

/** These keys work while the component is there. */
export function useKeys(bindings: readonly Binding[]): void {
  const layer = useRef<Layer>({ bindings });
  layer.current.bindings = bindings;
  const words = bindings.map(({ keys, label }) => `${keys}=${label}`).join();
  useEffect(() => {
    const own = layer.current;
    layers = [...layers, own];
    changed();
    return () => {
      layers = layers.filter((one) => one !== own);
      changed();
    };
  }, []);
  useEffect(changed, [words]);
}

/** All keys that work now, the most particular first. */
export const useShownKeys = (): readonly Binding[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    () => shown,
  );

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    (/^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName) &&
      !(target instanceof HTMLInputElement && /^(?:checkbox|radio|button)$/.test(target.type))));

/** Enter and Space belong to a focused control; everything else to the page. */
const isControl = (target: EventTarget | null, name: string): boolean =>
  (name === "Enter" || name === "Space") &&
  target instanceof HTMLElement &&
  target.closest("button, a, summary, [role=menuitem], [role=tab], [role=radio], [role=switch], [role=checkbox], [role=combobox]") !== null;

function onKeyDown(event: KeyboardEvent): void {
  const name = nameOf(event);
  if (name === null || event.defaultPrevented || isControl(event.target, name)) return;
  // A dialog or menu has its own keys.
  const inLayer =
    event.target instanceof HTMLElement && event.target.closest("[role=dialog], [role=menu], [role=listbox][data-popup]") !== null;
  const typing = isTyping(event.target);
  const open = layers.flatMap(({ bindings }) => bindings).filter((binding) => (!typing && !inLayer) || binding.typing);
  const usable = open.filter(({ keys }) => preferencesNow().keys || keys.includes("mod+") || keys.length > 1);
  const step = stepOf(
    pending,
    name,
    usable.map(({ keys }) => keys),
  );
  pending = step.kind === "wait" ? step.pending : "";
  clearTimeout(forget);
  if (step.kind === "wait") forget = setTimeout(() => (pending = ""), sequenceMs);
  if (step.kind === "none") return;
  event.preventDefault();
  if (step.kind === "run") usable.findLast(({ keys }) => keys === step.keys)?.run(event);
}

export function startKeys(): void {
  document.addEventListener("keydown", onKeyDown);
}
