import { lazy, Suspense, useEffect } from "react";
import { Dialog } from "../parts/dialog.tsx";
import { Loading } from "../parts/loading.tsx";

const load = () => import("./palette-search.tsx");
const Search = lazy(async () => ({ default: (await load()).Search }));

/** Long enough for the first screen to be there, short enough that the palette opens at once when it is wanted. */
const loadAfterMs = 2_000;

/** Everything by its name or id, from the keyboard: screens, tasks, runs, projects. */
export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  useEffect(() => {
    // Not to be reached just now: it is asked for again when it is opened.
    const later = setTimeout(() => void load().catch(() => undefined), loadAfterMs);
    return () => clearTimeout(later);
  }, []);
  return (
    <Dialog open={open} onClose={onClose} title="Go to">
      {open && (
        <Suspense fallback={<Loading />}>
          <Search onClose={onClose} />
        </Suspense>
      )}
    </Dialog>
  );
}
