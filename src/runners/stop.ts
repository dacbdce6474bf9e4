/** Why an attempt is being ended from outside; carried as the reason of its AbortSignal. */
export type StopCause =
  | "cancelled" // a person stopped the task
  | "interrupted" // the runner is going away on purpose
  | "time" // its minutes are over
  | "over"; // the attempt is no longer ours: nothing may be reported

export class AttemptStop extends Error {
  readonly stop: StopCause;
  constructor(stop: StopCause) {
    super(`the attempt was ended: ${stop}`);
    this.name = "AttemptStop";
    this.stop = stop;
  }
}

export const stopCauseOf = (signal: AbortSignal): StopCause | null =>
  signal.aborted ? (signal.reason instanceof AttemptStop ? signal.reason.stop : "interrupted") : null;
