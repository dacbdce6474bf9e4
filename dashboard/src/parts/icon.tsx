import type { ComponentType } from "react";

/** An icon of lucide-react, or anything drawn like one. */
export type IconShape = ComponentType<{ className?: string; "aria-hidden"?: boolean }>;

/** One icon in the product's line weight. Never alone: whatever holds it has a word or a label. */
export function Icon({ of: Shape, small = false }: { of: IconShape; small?: boolean }) {
  return <Shape className={small ? "i i--12" : "i"} aria-hidden />;
}
