import { percentile, type countEffects, type Measured, type Work, createAll } from "./peer.ts";

/**
 * A run of ten steps: `first`, then `left` and `right` at the same time, `join` with both results, then six more one after the other.
 * Every step's result is a text of 2 KB. In numbers: 0 -> (1, 2) -> 3 -> 4 -> ... -> 9.
 */
export const stepsOfRun = 10;

export const result = "0123456789abcdef".repeat(128);

/** What a step waits for. */
export const needsOf = (step: number): number[] => (step === 0 ? [] : step <= 2 ? [0] : step === 3 ? [1, 2] : [step - 1]);

/** `runs`: so many at once, the next when one is over; `run` resolves when its last step is durably done. */
export async function measureRuns(
  work: Work,
  effects: ReturnType<typeof countEffects>,
  run: (number: number) => Promise<unknown>,
): Promise<Measured> {
  const took: number[] = [];
  const began = performance.now();
  await createAll(work, async (number) => {
    const asked = performance.now();
    await run(number);
    took.push(performance.now() - asked);
  });
  const seconds = (performance.now() - began) / 1_000;
  const sorted = took.toSorted((one, other) => one - other);
  return {
    figures: {
      seconds,
      stepsPerSecond: (work.tasks * stepsOfRun) / seconds,
      p50: percentile(sorted, 0.5),
      p99: percentile(sorted, 0.99),
    },
    lost: effects.lost(),
    doubled: effects.doubled(),
  };
}
