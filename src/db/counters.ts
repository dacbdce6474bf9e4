interface Range {
  next: number;
  end: number;
}

/** How many numbers are reserved at once: it starts small and doubles while callers have to wait. Equal values fix it. */
interface BlockSizes {
  smallest: number;
  largest: number;
}

const burstMs = 1000;

/** Numbers handed out from memory, out of blocks that were reserved in the database before: never the same one twice, also across a crash. */
export interface Counters {
  take(counter: string): Promise<number>;
  /** Waits for reservations under way; the first number of each counter that was reserved and never taken. */
  unused(): Promise<{ counter: string; next: number; end: number }[]>;
}

/** `reserve` writes durably and answers the first number of a block of that size. */
export function makeCounters(sizes: BlockSizes, reserve: (counter: string, size: number) => Promise<number>): Counters {
  const counters = new Map<string, Counter>();
  return {
    take(name) {
      let counter = counters.get(name);
      if (!counter) counters.set(name, (counter = makeCounter(sizes, (size) => reserve(name, size))));
      return counter.take();
    },
    async unused() {
      const left = [...counters].map(async ([counter, each]) => (await each.left()).map((range) => ({ counter, ...range })));
      return (await Promise.all(left)).flat();
    },
  };
}

interface Counter {
  take(): Promise<number>;
  left(): Promise<Range[]>;
}

function makeCounter({ smallest, largest }: BlockSizes, reserve: (size: number) => Promise<number>): Counter {
  const ranges: Range[] = [];
  const waiting: PromiseWithResolvers<number>[] = [];
  let size = smallest;
  let reservedAt = -Infinity;
  let reserving: Promise<void> | null = null;

  const available = (): number => ranges.reduce((sum, range) => sum + range.end - range.next, 0);

  function pop(): number {
    const range = ranges[0];
    if (!range) throw new Error("a number was taken from an empty block");
    const number = range.next;
    range.next += 1;
    if (range.next === range.end) ranges.shift();
    return number;
  }

  function refill(): void {
    if (reserving || (waiting.length === 0 && available() >= size / 2)) return;
    const now = performance.now();
    if (now - reservedAt > burstMs) size = smallest;
    else if (waiting.length > 0) size = Math.min(size * 2, largest);
    reservedAt = now;
    reserving = reserveBlock(size).finally(() => {
      reserving = null;
      if (waiting.length > 0) refill();
    });
  }

  async function reserveBlock(count: number): Promise<void> {
    try {
      const first = await reserve(count);
      ranges.push({ next: first, end: first + count });
    } catch (error) {
      // Whoever waits hears of it; with nobody waiting the next one to come tries again.
      for (const waiter of waiting.splice(0)) waiter.reject(error);
    }
    for (const waiter of waiting.splice(0, available())) waiter.resolve(pop());
  }

  return {
    async take() {
      if (waiting.length === 0 && ranges.length > 0) {
        const number = pop();
        refill();
        return number;
      }
      const waiter = Promise.withResolvers<number>();
      waiting.push(waiter);
      refill();
      return waiter.promise;
    },
    async left() {
      while (reserving) await reserving;
      return ranges;
    },
  };
}
