/**
 * Keys as people write them: "a", "G", "Enter", "Space", "mod+k" (command on a Mac, control elsewhere), and sequences "g i".
 * Pure, so that the rules can be tested without a browser.
 */
export interface Pressed {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** The name of what was pressed; null for a modifier alone, and for combinations that belong to the browser. */
export function nameOf({ key, ctrlKey, metaKey, altKey }: Pressed): string | null {
  if (altKey || ["Shift", "Control", "Meta", "Alt", "Dead", "Process"].includes(key)) return null;
  const name = key === " " ? "Space" : key;
  return ctrlKey || metaKey ? `mod+${name.toLowerCase()}` : name;
}

export type Step = { kind: "run"; keys: string } | { kind: "wait"; pending: string } | { kind: "none" };

/** What a press means behind `pending` (the beginning of a sequence, or ""). A press that fits no sequence is tried by itself. */
export function stepOf(pending: string, pressed: string, bound: readonly string[]): Step {
  const keys = pending === "" ? pressed : `${pending} ${pressed}`;
  if (bound.includes(keys)) return { kind: "run", keys };
  if (bound.some((one) => one.startsWith(`${keys} `))) return { kind: "wait", pending: keys };
  return pending === "" ? { kind: "none" } : stepOf("", pressed, bound);
}
