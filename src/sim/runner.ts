import { AppError, toAppError } from "../errors.ts";
import { keepLease, renewDeadlineMs, type RunnerLease } from "../runners/lease.ts";
import type { Assignment, AttemptOutcome, FromRunner, ToRunner } from "../runners/message.ts";
import type { Faults } from "./faults.ts";
import type { Random } from "./random.ts";
import { living, type Living, type Schedule } from "./schedule.ts";
import type { SimServer } from "./server.ts";

/**
 * A runner with simulated agents. It keeps its lease with the product's own code and speaks the product's messages; what its agents
 * do is made up from the seed: they are done, fail, are limited, are slow, ask, never end, or die with it.
 */
export interface SimRunner {
  readonly name: string;
  crash(): void;
  pause(ms: number): void;
  /** Attempts that it works on now. */
  active(): number;
  /** The tasks whose agents do not end by themselves. */
  endless(): string[];
}

/** What an agent does about one attempt, said by whoever makes the world up. */
export interface Behaviour {
  outcome: AttemptOutcome;
  /** Waits before each effect, ms. The last one before the outcome. */
  pauses: number[];
  /** It asks a person before its last effect. */
  asks: boolean;
  hasTurn: boolean;
  neverEnds: boolean;
  /** It says that it was done though it was told to stop. */
  isDeaf: boolean;
}

export interface RunnerOptions {
  name: string;
  /** The only server that it ever listens to, dying with it; null: any. */
  home: string | null;
  schedule: Schedule;
  random: Random;
  faults: Faults;
  servers(): readonly SimServer[];
  behave(assignment: Assignment): Behaviour;
  /** The agent is at work, and begins and ends to be. */
  effect(runner: string, epoch: number, assignment: Assignment): void;
  begins(runner: string, epoch: number, assignment: Assignment): void;
  ends(runner: string, epoch: number, assignment: Assignment): void;
  failed(error: unknown): void;
  /** Planted: it goes on though its lease may be over. */
  ignoresLease: boolean;
  /** A lease may be taken for it after it has given up waiting for that. */
  isHard: boolean;
}

const answerMs = 4_000;
const againMs = 1_000;

interface Running {
  task: string;
  isEndless: boolean;
  stop: "cancelled" | "over" | null;
  wake: (() => void) | null;
  answers: Map<string, string | null>;
}

/** One life. */
interface Life extends Living {
  lease: RunnerLease | null;
  server: SimServer | null;
  disconnect: (() => void) | null;
  isConnecting: boolean;
  running: Map<string, Running>;
  ended: Set<string>;
}

export function startSimRunner(options: RunnerOptions): SimRunner {
  const { name, schedule, random, faults } = options;
  let lives = 0;
  let life: Life = begin();

  function begin(): Life {
    lives += 1;
    const fresh: Life = {
      ...living(),
      lease: null,
      server: null,
      disconnect: null,
      isConnecting: false,
      running: new Map(),
      ended: new Set(),
    };
    schedule.after(random.next() * 200, "runner begins", () => void live(fresh, `${name}.${lives}`), fresh);
    return fresh;
  }

  const delay = (): number => (faults.happens("message late") ? (faults.bit("message late"), random.next() * 6_000) : 0.2 + random.next());

  /** One question to a server, over a network that may lose it or its answer. */
  function ask<Answer>(me: Life, server: SimServer, what: string, question: (server: SimServer) => Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const over = (finish: () => void): void => {
        if (isOver) return;
        isOver = true;
        timeout.cancel();
        finish();
      };
      const timeout = schedule.after(answerMs, "no answer", () => over(() => reject(new AppError("unreachable", "no answer"))), me);
      const answer = (finish: () => void): void => {
        if (faults.happens("message lost")) return faults.bit("message lost");
        schedule.after(delay(), what, () => over(finish), me);
      };
      const arrive = (): void => {
        if (!server.alive) return;
        question(server).then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(toAppError(error))),
        );
      };
      if (faults.happens("message lost")) return faults.bit("message lost");
      schedule.after(delay(), what, arrive, server);
      if (faults.happens("message doubled")) {
        faults.bit("message doubled");
        schedule.after(delay(), what, arrive, server);
      }
    });
  }

  function someServer(): SimServer | null {
    const up = options.servers().filter(({ alive, home }) => alive && (options.home === null || home === options.home));
    return up.length === 0 ? null : random.pick(up);
  }

  /** Takes a lease, and one after the other the ones that follow when it is lost. */
  async function live(me: Life, word: string): Promise<void> {
    for (let tries = 1; me === life; tries += 1) {
      const lease = await takeLease(me, `${word}.${tries}`);
      if (!lease) {
        await schedule.sleep(againMs, "runner again", me);
        continue;
      }
      me.lease = lease;
      connect(me);
      await new Promise<void>((resolve) => (lease.lost.aborted ? resolve() : lease.lost.addEventListener("abort", () => resolve())));
      // What ran under it is ended before there is another.
      for (const running of me.running.values()) end(running, "over");
      me.disconnect?.();
      me.ended.clear();
    }
  }

  async function takeLease(me: Life, word: string): Promise<RunnerLease | null> {
    const server = someServer();
    if (!server) return null;
    const askedAt = performance.now();
    let epoch: number;
    let isOver = false;
    try {
      epoch = await ask(me, server, "take lease", (one) => one.takeLease(name, word, () => !options.isHard && (isOver || me !== life)));
    } catch {
      return null; // The next try asks another server.
    } finally {
      isOver = true;
    }
    if (me !== life) return null;
    return schedule.as(me, () =>
      keepLease({
        runner: name,
        epoch,
        askedAt,
        deadlineMs: options.ignoresLease ? Infinity : renewDeadlineMs,
        renew: async () => {
          const by = me.server ?? someServer();
          if (!by) throw new AppError("unreachable", "no server");
          return await ask(me, by, "renew", (one) => one.renewLease(name, epoch));
        },
        giveBack: async () => {},
      }),
    );
  }

  /** There is one connection at a time, and one that is being made. */
  function connectIn(me: Life, ms: number): void {
    if (me.isConnecting) return;
    me.isConnecting = true;
    schedule.after(
      ms,
      "connect",
      () => {
        me.isConnecting = false;
        connect(me);
      },
      me,
    );
  }

  function connect(me: Life): void {
    const { lease } = me;
    if (!lease || me !== life || me.server || !lease.holds()) return;
    const server = someServer();
    if (!server) return connectIn(me, againMs);
    me.server = server;
    let isOpen = true;
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      remove();
      if (me.disconnect !== close) return;
      me.server = null;
      me.disconnect = null;
      connectIn(me, 50 + random.next() * 500);
    };
    const send = (message: ToRunner): void => {
      // What is lost on a connection is lost with the connection: whoever connects again is told everything again.
      if (faults.happens("message lost")) {
        faults.bit("message lost");
        return close();
      }
      const arrive = (): void => {
        if (isOpen && server.alive) hear(me, lease, message);
      };
      schedule.after(delay(), message.kind, arrive, me);
      if (faults.happens("message doubled")) {
        faults.bit("message doubled");
        schedule.after(delay(), message.kind, arrive, me);
      }
    };
    // A server that died says nothing: the silence is noticed after a while.
    const watch = (): void => {
      if (!isOpen) return;
      if (server.alive) schedule.after(3_000, "watch", watch, me);
      else close();
    };
    schedule.after(3_000, "watch", watch, me);
    me.disconnect = close;
    const remove = server.connections.add({ runner: name, epoch: lease.epoch, send, close });
  }

  function hear(me: Life, lease: RunnerLease, message: ToRunner): void {
    if (me.lease !== lease) return;
    const key = `${message.task}#${message.attempt}`;
    const running = me.running.get(key);
    switch (message.kind) {
      case "assign":
        if (running || me.ended.has(key)) return;
        if (lease.holds() || options.ignoresLease) work(me, lease, message, key).catch(options.failed);
        return;
      case "cancel":
        if (running) end(running, "cancelled");
        return;
      case "answer":
        running?.answers.set(message.permission, message.option);
        running?.wake?.();
        return;
    }
  }

  function end(running: Running, why: "cancelled" | "over"): void {
    running.stop ??= why;
    running.wake?.();
  }

  async function work(me: Life, lease: RunnerLease, assignment: Assignment, key: string): Promise<void> {
    const running: Running = { task: assignment.task, isEndless: false, stop: null, wake: null, answers: new Map() };
    me.running.set(key, running);
    const { task, attempt, session } = assignment;
    const fence = { runner: name, runnerEpoch: lease.epoch, task, attempt, session };
    let number = 0;
    const holds = (): boolean => options.ignoresLease || lease.holds();

    /** Told until it is answered or the lease is over; false: the attempt is not ours any more. */
    async function tell(message: Record<string, unknown>): Promise<boolean> {
      const numbered = { ...fence, ...message, number: (number += 1) } as unknown as FromRunner;
      while (holds()) {
        try {
          const server = me.server;
          if (!server) throw new AppError("unreachable", "not connected");
          return await ask(me, server, String(message["kind"]), (one) => one.take(numbered));
        } catch (error) {
          if (!toAppError(error).retryable) throw error;
          await schedule.sleep(againMs, "tell again", me);
        }
      }
      return false;
    }
    const rest = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        if (running.stop) return resolve();
        const timer = schedule.after(ms, "agent works", resolve, me);
        running.wake = () => {
          timer.cancel();
          resolve();
        };
      });
    async function toTheEnd(): Promise<AttemptOutcome | null> {
      const plan = options.behave(assignment);
      if (!(await tell({ kind: "started", base: "c0", notIncluded: [] }))) return null;
      options.begins(name, lease.epoch, assignment);
      const turn = assignment.nextTurn;
      if (plan.hasTurn && !(await tell({ kind: "turn-started", turn, prompt: "go" }))) return null;
      for (const [index, ms] of plan.pauses.entries()) {
        await rest(ms);
        if (!holds() || running.stop === "over") return null;
        if (running.stop === "cancelled") return plan.isDeaf ? plan.outcome : { kind: "cancelled" };
        if (plan.asks && index === plan.pauses.length - 1) {
          const permission = `p${attempt}`;
          const options_ = [
            { id: "a", label: "allow", allows: true, lasting: false },
            { id: "d", label: "deny", allows: false, lasting: false },
          ];
          if (!(await tell({ kind: "permission", permission, tool: "shell", action: {}, options: options_ }))) return null;
          while (!running.answers.has(permission) && running.stop === null) await rest(60_000);
          continue;
        }
        options.effect(name, lease.epoch, assignment);
      }
      running.isEndless = plan.neverEnds;
      while (plan.neverEnds && running.stop === null && holds()) await rest(5_000);
      if (running.stop === "over" || !holds()) return null;
      if (running.stop === "cancelled" && !plan.isDeaf) return { kind: "cancelled" };
      if (plan.hasTurn) {
        const ended = { kind: "turn-ended", turn, outcome: { kind: "done", output: "ok" }, usage: null, commit: null };
        if (!(await tell(ended))) return null;
      }
      return plan.outcome;
    }

    const outcome = await toTheEnd();
    options.ends(name, lease.epoch, assignment);
    if (outcome) await tell({ kind: "outcome", outcome });
    me.running.delete(key);
    me.ended.add(key);
  }

  return {
    name,
    active: () => life.running.size,
    endless: () => [...life.running.values()].flatMap(({ task, isEndless }) => (isEndless ? [task] : [])),
    crash() {
      if (!life.alive) return;
      if (life.running.size > 0) faults.bit("runner crash");
      life.alive = false;
      life.disconnect?.();
      life = begin();
    },
    pause(ms) {
      const me = life;
      if (me.paused || !me.alive) return;
      me.paused = true;
      if (me.running.size > 0) faults.bit("runner pause");
      schedule.after(ms, "runner resumes", () => {
        me.paused = false;
        if (me.alive) for (const run of me.late.splice(0)) run();
      });
    },
  };
}
