import type { AgentEvent, Outcome } from "../backend.ts";
import { callModel, type Question, type Reply } from "./model-call.ts";
import type { ChosenModel } from "./model-choice.ts";
import { goesElsewhere, isRefusedKey, judgeRound, type Failure } from "./model-failure.ts";
import type { History } from "./model-history.ts";

/** The models of a session, and which of them is asked now. */
export interface Rotation {
  models: readonly [ChosenModel, ...ChosenModel[]];
  active: ChosenModel;
  /** Whose keys were refused: they are asked no more. */
  refused: Set<ChosenModel>;
}

export const makeRotation = (models: Rotation["models"]): Rotation => ({ models, active: models[0], refused: new Set() });

/** A new turn, like a new round, begins with the first choice again. */
export function beginAgain(rotation: Rotation): void {
  rotation.active = rotation.models.find((model) => !rotation.refused.has(model)) ?? rotation.models[0];
}

export interface Step extends Omit<Question, "model" | "messages"> {
  rotation: Rotation;
  history: History<ChosenModel>;
  limits: { tries: number; pauseMs: number; longestPauseMs: number };
}

type Answer = (Reply & { by: ChosenModel }) | { kind: "end"; outcome: Outcome };

/**
 * One step of a conversation: the model is asked, and while it cannot answer and nothing was heard of it yet, the next provider
 * with the same conversation. When none could, it is waited and begun again, as far as the policy goes. Yields text as it comes and
 * a note of each change; rejects only when the signal aborts.
 */
export async function* askModels(step: Step): AsyncGenerator<AgentEvent, Answer> {
  const { rotation, limits, signal } = step;
  for (let attempt = 1; ; attempt += 1) {
    const failures = yield* askAround(step);
    if (!Array.isArray(failures)) return failures;
    const verdict = judgeRound(failures, { ...limits, attempt, now: Date.now() });
    if (verdict.kind === "end") return verdict;
    const last = failures.at(-1);
    if (last?.spoke) yield { kind: "thought", text: `The answer broke off (${last.message}); the model is asked again.` };
    else beginAgain(rotation);
    await pause(verdict.pauseMs, signal);
  }
}

type Round = [Failure, ...Failure[]];

/** Each of them once, beginning with the active one, until one answers or something was heard of it. */
async function* askAround(step: Step): AsyncGenerator<AgentEvent, (Reply & { by: ChosenModel }) | Round> {
  const { rotation, history } = step;
  const asked = new Map<ChosenModel, Failure>();
  for (;;) {
    const by = rotation.active;
    const tried = yield* callModel({ ...step, model: by.languageModel, messages: history.for(by) });
    if (tried.kind === "reply") return { ...tried, by };
    asked.set(by, tried);
    if (isRefusedKey(tried)) rotation.refused.add(by);
    const next = goesElsewhere(tried) ? following(rotation).find((model) => !asked.has(model)) : undefined;
    if (!next) return [...asked.values()] as Round;
    yield { kind: "thought", text: `${named(by)} could not answer (${tried.message}); ${named(next)} goes on.` };
    rotation.active = next;
  }
}

/** The others in the order of the choice, from the active one on and around. */
function following({ models, active, refused }: Rotation): ChosenModel[] {
  const at = models.indexOf(active);
  return [...models.slice(at + 1), ...models.slice(0, at)].filter((model) => !refused.has(model));
}

const named = ({ name, provider }: ChosenModel): string => (provider === null ? name : `${provider} (${name})`);

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
