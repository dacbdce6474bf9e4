import { Lock } from "lucide-react";
import type { ReactNode } from "react";
import { Notice } from "./notice.tsx";

/** The person may not do this. It says what they may do, and who can change it. */
export function NoPermission({ children }: { children: ReactNode }) {
  return <Notice icon={Lock}>{children}</Notice>;
}
