/**
 * Virtual time. What happens is an event of a queue in the order of its time; events of the same time in the order in which they
 * were planned. Between two events all that the product does by itself (promises) is done.
 */

/** Somebody whose events wait while it is paused, and are gone when it died. */
export interface Living {
  alive: boolean;
  paused: boolean;
  /** What came while it was paused, in its order. */
  late: (() => void)[];
}

export const living = (): Living => ({ alive: true, paused: false, late: [] });

interface Event {
  at: number;
  order: number;
  label: string;
  run: (() => void) | null;
  owner: Living | null;
}

export interface Schedule {
  /** ms since the beginning of the run, with fractions. */
  now(): number;
  steps(): number;
  after(ms: number, label: string, run: () => void, owner?: Living | null): { cancel(): void };
  sleep(ms: number, label: string, owner: Living | null): Promise<void>;
  /** Replaces timers and `performance.now()` of the whole process until `until` says that it is over, or nothing is left. Answers when. */
  runUntil(until: () => boolean): Promise<void>;
  /** To whom timers belong that are started from now on. */
  as<Result>(owner: Living | null, run: () => Result): Result;
}

/** So many events between two turns of Node's own loop: each runs in an immediate of its own, and Node does all promises in between. */
const batch = 256;

const realImmediate = setImmediate;

export function makeSchedule(trace: ((at: number, label: string) => void) | null): Schedule {
  const queue: Event[] = [];
  let now = 0;
  let order = 0;
  let steps = 0;
  let current: Living | null = null;

  const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

  function push(event: Event): void {
    let index = queue.length;
    queue.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = queue[parent] as Event;
      if (!isBefore(event, above)) break;
      queue[index] = above;
      index = parent;
    }
    queue[index] = event;
  }

  function pop(): Event | null {
    const first = queue[0];
    const last = queue.pop();
    if (!first || !last) return null;
    if (queue.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && isBefore(queue[child + 1] as Event, queue[child] as Event)) child += 1;
      if (!isBefore(queue[child] as Event, last)) break;
      queue[index] = queue[child] as Event;
      index = child;
    }
    queue[index] = last;
    return first;
  }

  function after(ms: number, label: string, run: () => void, owner: Living | null = null): { cancel(): void } {
    const event: Event = { at: now + Math.max(0, ms), order: (order += 1), label, run, owner };
    push(event);
    return { cancel: () => void (event.run = null) };
  }

  function step(): boolean {
    for (;;) {
      const event = pop();
      if (!event) return false;
      const { run, owner } = event;
      if (!run || (owner && !owner.alive)) continue;
      now = event.at;
      steps += 1;
      trace?.(now, event.label);
      if (owner?.paused) owner.late.push(run);
      else run();
      return true;
    }
  }

  function every(ms: number, run: () => void, owner: Living | null): { cancel(): void } {
    let timer = { cancel: () => {} };
    let isOver = false;
    // Like Node's: what was due while its process stood still comes once.
    const again = (): void => {
      timer = after(
        ms,
        "timer",
        () => {
          if (isOver) return;
          again();
          run();
        },
        owner,
      );
    };
    again();
    return {
      cancel: () => {
        isOver = true;
        timer.cancel();
      },
    };
  }

  /** What Node's timers look like from outside. */
  interface Handle {
    cancel(): void;
    unref(): Handle;
    ref(): Handle;
  }
  const handleOf = ({ cancel }: { cancel(): void }): Handle => {
    const handle: Handle = { cancel, unref: () => handle, ref: () => handle };
    return handle;
  };

  function replaceTimers(): () => void {
    const real = { setTimeout, setInterval, clearTimeout, clearInterval, now: performance.now };
    const clear = (handle: unknown): void => (handle as Handle | undefined)?.cancel();
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms = 0) => handleOf(after(ms, "timer", run, current)),
      setInterval: (run: () => void, ms = 0) => handleOf(every(ms, run, current)),
      clearTimeout: clear,
      clearInterval: clear,
    });
    performance.now = () => now;
    return () => {
      Object.assign(globalThis, {
        setTimeout: real.setTimeout,
        setInterval: real.setInterval,
        clearTimeout: real.clearTimeout,
        clearInterval: real.clearInterval,
      });
      performance.now = real.now;
    };
  }

  return {
    now: () => now,
    steps: () => steps,
    after,
    sleep: (ms, label, owner) => new Promise((resolve) => void after(ms, label, resolve, owner)),
    as(owner, run) {
      const before = current;
      current = owner;
      try {
        return run();
      } finally {
        current = before;
      }
    },
    runUntil(until) {
      const restore = replaceTimers();
      return new Promise<void>((resolve, reject) => {
        let isOver = false;
        const one = (): void => {
          if (isOver) return;
          try {
            isOver = until() || !step();
          } catch (error) {
            isOver = true;
            reject(error instanceof Error ? error : new Error(String(error)));
          }
          if (!isOver) return;
          restore();
          resolve();
        };
        const pump = (): void => {
          for (let count = 0; count < batch && !isOver; count += 1) realImmediate(one);
          if (!isOver) realImmediate(pump);
        };
        pump();
      });
    },
  };
}
