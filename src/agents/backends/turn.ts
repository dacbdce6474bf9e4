import type { AgentEvent, Outcome } from "../backend.ts";

/** So many events wait for a slow reader before the program itself is made to wait. */
const roomFor = 500;

/**
 * The events of one turn, between a program that sends them and a reader that takes them. It keeps the contract: the last event is an
 * outcome, exactly one, and nothing comes after it.
 */
export class Turn {
  readonly #events: AgentEvent[] = [];
  #ended = false;
  #arrived = Promise.withResolvers<void>();
  #taken = Promise.withResolvers<void>();

  get ended(): boolean {
    return this.#ended;
  }

  push(event: AgentEvent): void {
    if (this.#ended) return;
    this.#events.push(event);
    this.#arrived.resolve();
  }

  end(outcome: Outcome): void {
    if (this.#ended) return;
    this.push({ kind: "outcome", outcome });
    this.#ended = true;
    this.#taken.resolve();
  }

  /** Resolves when the reader keeps up; at once after the end. */
  async room(): Promise<void> {
    while (this.#events.length >= roomFor && !this.#ended) {
      this.#taken = Promise.withResolvers();
      await this.#taken.promise;
    }
  }

  async *read(): AsyncGenerator<AgentEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event) {
        this.#taken.resolve();
        yield event;
        if (event.kind === "outcome") return;
        continue;
      }
      this.#arrived = Promise.withResolvers();
      await this.#arrived.promise;
    }
  }
}
