import type { Random } from "./random.ts";

/** What can go wrong. Each seed arms some of them: a few seeds are calm, a few have all of them at once. */
export const faultKinds = [
  "server crash",
  "server pause",
  "runner crash",
  "runner pause",
  "message lost",
  "message doubled",
  "message late",
  "commit lost",
  "answer lost",
  "commit late",
  "disk error",
  "clock skew",
  "store away",
  "hint lost",
  "read late",
  "stalled commit",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Faults {
  /** Whether this fault happens here and now, to one of the many things that it could happen to. */
  happens(kind: FaultKind): boolean;
  isArmed(kind: FaultKind): boolean;
  /** It changed something: somebody missed a message, a write was refused, work was ended. */
  bit(kind: FaultKind): void;
  readonly bites: number;
  /** From now on nothing goes wrong any more. */
  end(): void;
}

/** How likely it is for each single message, commit or read while it is armed. */
const often: Partial<Record<FaultKind, number>> = {
  "message lost": 0.05,
  "message doubled": 0.1,
  "message late": 0.1,
  "commit lost": 0.03,
  "answer lost": 0.04,
  "commit late": 0.05,
  "disk error": 0.02,
  "hint lost": 0.3,
  "read late": 0.02,
  "stalled commit": 0.02,
};

export function makeFaults(random: Random): Faults {
  const mood = random.next();
  const share = mood < 0.1 ? 0 : mood > 0.85 ? 1 : 0.4;
  const armed = new Set<FaultKind>(faultKinds.filter(() => random.chance(share)));
  const strength = 0.5 + random.next();
  let isOver = false;
  let bites = 0;
  return {
    happens: (kind) => !isOver && armed.has(kind) && random.chance((often[kind] ?? 0) * strength),
    isArmed: (kind) => !isOver && armed.has(kind),
    bit: () => void (bites += 1),
    get bites() {
      return bites;
    },
    end: () => void (isOver = true),
  };
}
