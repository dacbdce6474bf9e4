/** What ctrl-c says before it leaves. It always leaves at once, with 130; what runs on the server goes on. */
let farewell: (() => void) | null = null;

/** From now on, until what it answers is called. */
export function sayOnInterrupt(say: () => void): () => void {
  farewell = say;
  return () => {
    if (farewell === say) farewell = null;
  };
}

export function leaveOnInterrupt(): void {
  process.on("SIGINT", () => {
    farewell?.();
    process.exit(130);
  });
}
