import { setTimeout as wait } from "node:timers/promises";
import { sql, statement, type Db, type NewEvent, type Plan, type Sql } from "../src/db/plan.ts";

/** What goes on in a filled store, quickly: agents' turns, tasks that end and begin, questions and their answers. */
const agents = 1_000;

const projectOf = (number: number): string => `shop-${String(1 + (number % 20)).padStart(2, "0")}`;

const plan = (texts: Sql[], events: NewEvent[]): Plan => ({ statements: texts.map((text) => statement(text, "any")), events });

/** The next change of the work, one after another; each is one transaction with its events. */
export function changes(): () => Plan {
  let at = 0;
  let made = 150_000;
  const openQuestions: { id: string; number: number }[] = [];
  return () => {
    at += 1;
    // Agents take turns; the first 70 wait for a person or start, and the next one is busy talking.
    const number = 72 + ((at * 37) % (agents - 72));
    const [task, session, stream] = [`T-${1_000 + number}`, `S-${1_000 + number}`, projectOf(number)];
    const now = Date.now();
    switch (at % 5) {
      case 0: {
        const usage = JSON.stringify({ model: "m-large", inputTokens: 800, outputTokens: 90, cachedTokens: 0, costUsd: null });
        return plan(
          [
            sql`update turns set state = 'done', finished_at = ${now}, usage_json = ${usage} where session = ${session} and finished_at is null`,
            sql`insert into turns (session, turn, attempt, state, prompt, started_at)
                select ${session}, max(turn) + 1, 1, 'running', 'go on', ${now} from turns where session = ${session}`,
          ],
          [
            { stream, type: "turn.settled", task, session, data: { turn: 2 } },
            { stream, type: "turn.started", task, session, data: { turn: 3 } },
          ],
        );
      }
      case 1: {
        const asked = openQuestions.length > 30 ? openQuestions.shift() : undefined;
        if (asked) {
          const [other, of] = [`T-${1_000 + asked.number}`, projectOf(asked.number)];
          return plan(
            [
              sql`update approvals set state = 'answered', answer = 'allow', answered_at = ${now} where id = ${asked.id}`,
              sql`update tasks set state = 'running', reason = null, updated_at = ${now} where id = ${other}`,
            ],
            [
              { stream: of, type: "approval.answered", task: other, data: { approval: asked.id } },
              { stream: of, type: "task.resumed", task: other, data: {} },
            ],
          );
        }
        const id = `A-${5_000 + at}`;
        openQuestions.push({ id, number });
        const action = JSON.stringify({ tool: "shell", action: { command: `make step-${at}` }, permission: at });
        return plan(
          [
            sql`insert into approvals (id, project, kind, state, task, session, agent, question, action, hash, options, created_at)
                values (${id}, ${stream}, 'permission', 'open', ${task}, ${session}, ${`agent-${number}`}, 'May the agent use shell?', ${action}, ${`hash-${at}`},
                        '["allow","deny"]', ${now})`,
            sql`update tasks set state = 'needs you', reason = 'approval', updated_at = ${now} where id = ${task}`,
          ],
          [
            { stream, type: "approval.opened", task, session, data: { approval: id } },
            { stream, type: "task.needs-you", task, session, data: {} },
          ],
        );
      }
      case 2: {
        made += 1;
        return newTask(`T-${made}`, projectOf(made), `Do the work number ${made}`, now);
      }
      case 3: {
        // One that was made before begins.
        const [next, of] = [`T-${made}`, projectOf(made)];
        return plan(
          [
            sql`update tasks set state = 'running', reason = null, agent = ${`agent-${number}`}, attempt = 1, updated_at = ${now} where id = ${next}`,
          ],
          [
            { stream: of, type: "task.assigned", task: next, data: { agent: `agent-${number}` } },
            { stream: of, type: "task.started", task: next, data: {} },
          ],
        );
      }
      default: {
        const [last, of] = [`T-${made}`, projectOf(made)];
        return plan(
          [
            sql`update tasks set state = 'done', reason = null, updated_at = ${now}, cleared_at = ${now + 1} where id = ${last}`,
            sql`update task_details set finished_at = ${now} where task = ${last}`,
          ],
          [{ stream: of, type: "task.settled", task: last, data: { state: "done" } }],
        );
      }
    }
  };
}

export function newTask(id: string, project: string, title: string, now: number): Plan {
  const spec = JSON.stringify({ kind: "agent", prompt: title, agent: {}, includeDirty: false, env: {}, base: null });
  return plan(
    [
      sql`insert into tasks (id, project, kind, state, reason, priority, attempt, needs_left, ready_at, created_at, updated_at)
          values (${id}, ${project}, 'agent', 'queued', 'new', 0, 0, 0, 0, ${now}, ${now})`,
      sql`insert into task_details (task, title, spec, needs) values (${id}, ${title}, ${spec}, '[]')`,
    ],
    [{ stream: project, type: "task.created", task: id, data: { title } }],
  );
}

/** Commits changes until there were so many events, evenly at `perSecond` events. Answers how many there were and how long it took, seconds. */
export async function play(
  db: Db,
  next: () => Plan,
  events: number,
  perSecond: number,
  signal: AbortSignal,
): Promise<{ events: number; seconds: number }> {
  const began = performance.now();
  let told = 0;
  while (told < events && !signal.aborted) {
    const change = next();
    told += change.events.length;
    await db.commit(change);
    const ahead = (told / perSecond) * 1_000 - (performance.now() - began);
    if (ahead > 1) await wait(ahead);
  }
  return { events: told, seconds: (performance.now() - began) / 1_000 };
}
