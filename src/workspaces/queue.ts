/** Runs work one after the other per key; different keys run beside each other. A failed piece of work does not stop the next. */
export type Queue = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function openQueue(): Queue {
  const tails = new Map<string, Promise<unknown>>();
  return <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const before = tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    tails.set(key, mine);
    const forget = () => {
      if (tails.get(key) === mine) tails.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  };
}
