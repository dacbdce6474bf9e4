import type { ReactNode } from "react";
import { Keycap } from "./keycap.tsx";

export interface KeyHint {
  keys: string | readonly string[];
  label: string;
}

/** The keys that work here and now. */
export function KeyHints({ hints }: { hints: readonly KeyHint[] }) {
  return (
    <span className="statusbar__keys">
      {hints.map((hint) => (
        <span key={hint.label}>
          <Keycap keys={hint.keys} /> {hint.label}
        </span>
      ))}
    </span>
  );
}

/** The line below everything: connection, server and settings on the left, the keys of this mode on the right. */
export function StatusBar({ children, hints }: { children: ReactNode; hints: readonly KeyHint[] }) {
  return (
    <footer className="statusbar">
      {children}
      <KeyHints hints={hints} />
    </footer>
  );
}
