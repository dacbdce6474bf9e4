import { X } from "lucide-react";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { Button } from "./button.tsx";
import { ErrorWords, type SeenError } from "./failure.tsx";
import { Glyph } from "./glyph.tsx";
import { IconButton } from "./icon-button.tsx";
import { Plain } from "./plain.tsx";
import type { AnyState } from "./state-look.ts";

interface ToastInput {
  /** Its glyph. */
  state?: AnyState;
  title: string;
  text?: string;
  action?: { label: string; act: () => void };
}

export interface Toast {
  /** An effect that cannot be seen where the person is. */
  show(toast: ToastInput): void;
  /** What went wrong; stays until it is closed. */
  fail(error: SeenError): void;
}

type Shown = ToastInput & { id: number; error?: SeenError };

const shownMs = 6_000;
const most = 4;
const ToastContext = createContext<Toast | undefined>(undefined);

/** How a part of a page says something in a toast. */
export function useToast(): Toast {
  const toast = useContext(ToastContext);
  if (toast === undefined) throw new Error("useToast needs <Toasts> around the page");
  return toast;
}

/** Holds the toasts of everything inside of it, and the one polite live region that reads them aloud. */
export function Toasts({ children }: { children: ReactNode }) {
  const [shown, setShown] = useState<readonly Shown[]>([]);
  const last = useRef(0);
  const add = useCallback((toast: Omit<Shown, "id">) => {
    last.current += 1;
    const id = last.current;
    // Errors are the last to go: a stream of good news must not push one out.
    setShown((now) => trim([...now, { ...toast, id }]));
  }, []);
  const toast = useMemo<Toast>(() => ({ show: add, fail: (error) => add({ title: error.message, state: "failed", error }) }), [add]);
  const close = useCallback((id: number) => setShown((now) => now.filter((each) => each.id !== id)), []);
  return (
    <ToastContext value={toast}>
      {children}
      <section className="toasts" aria-label="Notifications">
        <div role="status" aria-live="polite" aria-relevant="additions">
          {shown.map((each) => (
            <OneToast key={each.id} toast={each} onClose={close} />
          ))}
        </div>
      </section>
    </ToastContext>
  );
}

function trim(toasts: Shown[]): Shown[] {
  if (toasts.length <= most) return toasts;
  const first = toasts.findIndex((each) => each.error === undefined);
  return toasts.filter((_, index) => index !== Math.max(0, first));
}

/** One toast. It waits while the pointer or the focus is in it. */
export function OneToast({ toast, onClose }: { toast: Shown; onClose: (id: number) => void }) {
  const [held, setHeld] = useState(false);
  const stays = held || toast.error !== undefined;
  useEffect(() => {
    if (stays) return undefined;
    const wait = setTimeout(() => onClose(toast.id), shownMs);
    return () => clearTimeout(wait);
  }, [stays, toast.id, onClose]);
  return (
    <div
      className="toast"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <Glyph state={toast.state ?? "done"} />
      <b className="toast__title">
        <Plain text={toast.title} />
      </b>
      <span className="flex">
        {toast.action !== undefined && (
          <Button
            kind="quiet"
            onClick={() => {
              toast.action?.act();
              onClose(toast.id);
            }}
          >
            {toast.action.label}
          </Button>
        )}
        <IconButton icon={X} label="Close" onClick={() => onClose(toast.id)} />
      </span>
      {toast.text !== undefined && (
        <div className="toast__text">
          <Plain text={toast.text} />
        </div>
      )}
      {toast.error !== undefined && (
        <div className="toast__text">
          <ErrorWords error={toast.error} />
        </div>
      )}
    </div>
  );
}
