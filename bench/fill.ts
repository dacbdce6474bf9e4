import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Db, Sql } from "../src/db/plan.ts";
import { sql, statement } from "../src/db/plan.ts";
import type { TranscriptEntry } from "../src/sessions/session.ts";

/**
 * A store as it is after a month of a large team: 20 projects, 1,000 agents at work, 100,000 tasks, one conversation of 50,000
 * entries, one change of 20,000 lines, a run of 300 steps and one with a group of 500. Rows only; made by SQL, so that it takes seconds.
 */
export interface Filled {
  /** Its session has 50,000 entries. It runs. */
  talkative: { task: string; session: string; project: string };
  /** Its change has 20,000 lines. */
  changed: string;
  longRun: string;
  wideRun: string;
}

export interface Sizes {
  tasks: number;
  agents: number;
  entries: number;
  diffLines: number;
  steps: number;
  items: number;
}

export const fullSizes: Sizes = { tasks: 100_000, agents: 1_000, entries: 50_000, diffLines: 20_000, steps: 300, items: 500 };

const minute = 60_000;

/** Fills a store that has its tables and nothing else in these ranges of ids: T-1001, S-1001, R-1001 and on, `shop-01` and on. */
export async function fillStore(db: Db, home: string, sizes: Sizes = fullSizes): Promise<Filled> {
  const now = Date.now();
  const write = async (...texts: Sql[]): Promise<void> => {
    const committed = await db.commit({ statements: texts.map((text) => statement(text, "any")), events: [] });
    if (committed.kind !== "committed") throw new Error(`statement ${committed.statement} of the filling was refused`);
  };
  await write(...projectsAndAgents(sizes, now));
  await write(...work(sizes, now));
  await write(...conversations(sizes, now));
  await write(...questions(now));
  await write(...runs(sizes, now));
  const talkative = { task: "T-1071", session: "S-1071", project: "shop-12" };
  const entries = longConversation(sizes.entries, now);
  const segments = Math.ceil(entries.length / 100);
  for (let first = 0; first < segments; first += 50) {
    const parts = Array.from({ length: Math.min(50, segments - first) }, (_, at) => first + at);
    await write(
      ...parts.map((part) => {
        const data = entries.slice(part * 100, part * 100 + 100).map((entry) => JSON.stringify(entry));
        return sql`insert into transcript_segments (session, turn, part, data) values (${talkative.session}, 2, ${part + 2}, ${data.join("\n")})`;
      }),
    );
  }
  const changed = "T-2701";
  const { base, commit, files } = makeLargeChange(home, sizes.diffLines);
  const result = JSON.stringify({ output: "done", commit, base, files, branch: null, note: null });
  await write(sql`update task_details set result = ${result} where task = ${changed}`);
  return { talkative, changed, longRun: "R-1001", wideRun: "R-1002" };
}

/** The numbers 1 to `count`. */
const numbers = (count: number): Sql =>
  sql`with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < cast(${count} as integer))`;

const projectOf = sql`'shop-' || substr('0' || cast(1 + n % 20 as text), -2)`;

const projectsAndAgents = ({ agents, tasks }: Sizes, now: number): Sql[] => [
  sql`
    insert into projects (id, name, source, base_branch, settings, created_at)
    ${numbers(20)} select ${projectOf}, ${projectOf}, '/nowhere/' || ${projectOf}, 'main', '{}', ${now - 30 * 1_440 * minute} from numbers`,
  sql`
    insert into agents (name, backend, state, skills, max_sessions, demo, settings, detection, created_at)
    ${numbers(agents)}
    select 'agent-' || n, 'command', 'running', '[]', 4, 0, '{"command":["/bin/true"]}',
           '{"state":"ready","version":"1.4.0","path":"/bin/true","message":null,"fix":null}', ${now} from numbers`,
  sql`insert into counters (name, next) values ('task', ${2_000 + tasks}), ('session', ${2_000 + tasks}), ('run', 5000), ('approval', 5000)`,
];

/** The first thousand is at work, one for each agent; then what waits and what failed; then what is over, a month back. */
const work = ({ tasks, agents }: Sizes, now: number): Sql[] => {
  const state = sql`case when n <= 40 then 'needs you' when n <= 70 then 'starting' when n <= ${agents} then 'running'
    when n <= 1500 then 'queued' when n <= 1520 then 'paused' when n <= 1700 then 'failed' when n % 50 = 0 then 'cancelled' else 'done' end`;
  const reason = sql`case when n <= 40 then 'approval' when n > ${agents} and n <= 1500 then 'no capacity'
    when n > 1500 and n <= 1520 then 'quota' when n > 1520 and n <= 1700 then 'agent failed' end`;
  const changedAt = sql`case when n <= 1500 then ${now} - n * 7000 when n <= 1700 then ${now} - (n - 1500) * 240000 else ${now} - n * 25000 end`;
  const title = sql`case n % 6 when 0 then 'Fix the rounding of prices in the basket, line ' || n when 1 then 'Add a test for the discount of order ' || n
    when 2 then 'Rename the parser''s options (' || n || ')' when 3 then 'Update dependency number ' || n
    when 4 then 'Explain why request ' || n || ' is slow and make it faster' else 'Remove the old way of exporting, part ' || n end`;
  const agent = sql`case when n > ${agents} and n <= 1500 then null else 'agent-' || (1 + (n - 1) % cast(${agents} as integer)) end`;
  return [
    sql`
      insert into tasks (id, project, kind, state, reason, priority, attempt, needs_left, ready_at, agent, session, runner, runner_epoch,
                         created_at, updated_at, cleared_at, seq)
      ${numbers(tasks)}
      select 'T-' || (1000 + n), ${projectOf}, 'agent', ${state}, ${reason}, 0, case when n > ${agents} and n <= 1500 then 0 else 1 end, 0, ${now} + 1000000000,
             ${agent}, case when n > ${agents} and n <= 1500 then null else 'S-' || (1000 + n) end, 'elsewhere', 1,
             ${changedAt} - 600000, ${changedAt}, case when n > 1850 then ${changedAt} + 1 end, 1000 + n
        from numbers`,
    sql`
      insert into task_details (task, title, message, verified, spec, needs, result, finished_at)
      ${numbers(tasks)}
      select 'T-' || (1000 + n), ${title}, case when n > 1520 and n <= 1700 then 'the program ended with code 1: no space left' end,
             case when n > 1700 then n % 3 end % 2, json_object('kind', 'agent', 'prompt', ${title}, 'agent', json_object(), 'includeDirty', json('false'),
             'env', json_object(), 'base', null), '[]',
             case when n > 1700 then json_object('output', 'done', 'commit', null, 'base', null, 'files', json_array('src/price.ts'), 'branch', null, 'note', null) end,
             case when n > 1520 then ${changedAt} end
        from numbers`,
  ];
};

const conversations = ({ tasks, agents }: Sizes, now: number): Sql[] => {
  const hasOne = sql`(n <= ${agents} or n > 1500)`;
  const usage = sql`json_object('model', 'm-large', 'inputTokens', 900 + n % 700, 'outputTokens', 120 + n % 90, 'cachedTokens', 0, 'costUsd', null)`;
  const endedAt = sql`case when n <= 1700 then ${now} - n * 7000 else ${now} - n * 25000 end`;
  return [
    sql`
      insert into sessions (id, project, task, agent, state, branch, base, commit_id, not_included, demo, created_at, updated_at)
      ${numbers(tasks)}
      select 'S-' || (1000 + n), ${projectOf}, 'T-' || (1000 + n), 'agent-' || (1 + (n - 1) % cast(${agents} as integer)),
             case when n <= ${agents} then 'running' else 'done' end, 'tutti/T-' || (1000 + n), null,
             case when n > 1700 and n <= 1850 then 'c0ffee' end, '[]', 0, ${endedAt} - 600000, ${endedAt}
        from numbers where ${hasOne}`,
    sql`
      insert into attempts (task, attempt, state, agent, session, runner, runner_epoch, started_at, finished_at)
      ${numbers(tasks)}
      select 'T-' || (1000 + n), 1, case when n <= ${agents} then 'running' else 'done' end, 'agent-' || (1 + (n - 1) % cast(${agents} as integer)), 'S-' || (1000 + n),
             'elsewhere', 1, ${endedAt} - 500000, case when n > ${agents} then ${endedAt} end
        from numbers where ${hasOne}`,
    sql`
      insert into turns (session, turn, attempt, state, prompt, outcome, usage_json, started_at, finished_at)
      ${numbers(tasks)}
      select 'S-' || (1000 + n), 1, 1, 'done', 'go on', '{"kind":"done","output":"The test passes now."}', ${usage}, ${endedAt} - 400000, ${endedAt} - 1000
        from numbers where ${hasOne}`,
    sql`
      insert into turns (session, turn, attempt, state, prompt, started_at)
      ${numbers(agents)} select 'S-' || (1000 + n), 2, 1, 'running', 'go on', ${endedAt} - 900 from numbers`,
    sql`
      insert into transcript_segments (session, turn, part, data)
      ${numbers(agents)}
      select 'S-' || (1000 + n), 2, 1, json_object('turn', 2, 'at', ${endedAt}, 'kind', 'text', 'text', 'Reading src/price.ts, ' || n || ' lines so far')
        from numbers`,
  ];
};

/** Those that need a person want to run a command, each another one. */
const questions = (now: number): Sql[] => [
  sql`
    insert into approvals (id, project, kind, state, task, session, agent, question, action, hash, options, created_at)
    ${numbers(40)}
    select 'A-' || (1000 + n), ${projectOf}, 'permission', 'open', 'T-' || (1000 + n), 'S-' || (1000 + n), 'agent-' || n, 'May the agent use shell?',
           json_object('tool', 'shell', 'action', json_object('command', 'npm run migrate -- --number ' || n), 'permission', n), 'hash-' || n,
           '["allow","deny"]', ${now} - n * 20000
      from numbers`,
];

const runs = ({ steps, items }: Sizes, now: number): Sql[] => {
  const begun = now - 120 * minute;
  const run = (id: string, flow: string): Sql => sql`
    insert into runs (id, project, flow, state, graph, inputs, agents, created_at, updated_at)
    values (${id}, 'shop-01', ${flow}, 'running', '{"name":"big","steps":[]}', '{}', '{}', ${begun}, ${now})`;
  // Every tenth failed, the last ones still run or wait.
  const state = sql`case when n % 40 = 0 then 'failed' when n > 290 then 'queued' when n > 270 then 'running' else 'done' end`;
  const itemState = sql`case when n % 40 = 0 then 'failed' when n > 480 then 'running' else 'done' end`;
  const over = sql`case when n % 40 = 0 or n <= 270 then ${begun} + n * 20000 + 90000 end`;
  return [
    run("R-1001", "nightly-sweep"),
    run("R-1002", "fix-all"),
    sql`
      insert into steps (run, id, position, kind, state, reason, message, task, created_at, finished_at)
      ${numbers(steps)}
      select 'R-1001', 'step-' || n, n, 'agent', ${state}, case when n % 40 = 0 then 'check failed' end, case when n % 40 = 0 then 'two of nine tests failed' end,
             'T-' || (3000 + n), ${begun} + n * 20000, ${over} from numbers`,
    sql`update tasks set run = 'R-1001', step = 'step-' || (cast(substr(id, 3) as integer) - 3000)
         where id in (${numbers(steps)} select 'T-' || (3000 + n) from numbers)`,
    sql`insert into steps (run, id, position, kind, state, wanted, created, done, failed, cancelled, items, created_at)
        values ('R-1002', 'fix', 1, 'each', 'running', ${items}, ${items}, ${items - 32}, 12, 0, '[]', ${begun})`,
    sql`
      insert into steps (run, id, parent, position, kind, state, reason, task, created_at, finished_at)
      ${numbers(items)}
      select 'R-1002', 'fix[' || (n - 1) || ']', 'fix', n - 1, 'agent', ${itemState}, case when n % 40 = 0 then 'check failed' end, 'T-' || (3300 + n),
             ${begun} + n * 10000, case when n <= 480 or n % 40 = 0 then ${begun} + n * 10000 + 60000 end from numbers`,
    sql`update tasks set run = 'R-1002', step = 'fix[' || (cast(substr(id, 3) as integer) - 3301) || ']'
         where id in (${numbers(items)} select 'T-' || (3300 + n) from numbers)`,
    sql`update attempts set started_at = ${begun} + (cast(substr(task, 3) as integer) - 3000) * 20000 + 5000
         where task in (${numbers(steps)} select 'T-' || (3000 + n) from numbers)`,
    sql`
      insert into runs (id, project, flow, state, graph, inputs, agents, created_at, updated_at, finished_at)
      ${numbers(500)}
      select 'R-' || (2000 + n), ${projectOf}, 'release-notes', case when n % 100 = 0 then 'failed' else 'done' end, '{"name":"small","steps":[]}', '{}', '{}',
             ${begun} - n * 600000, ${begun} - n * 600000 + 300000, ${begun} - n * 600000 + 300000 from numbers`,
  ];
};

const paragraphs = [
  "The rounding happens **twice**: once in `priceOf` and again when the basket is summed. I will keep the first.",
  "Looking at the callers:\n\n- `src/basket.ts` adds prices\n- `src/invoice.ts` prints them\n\nBoth expect cents.",
  "That test covers it. Next is the discount, which is applied before the tax and should be applied after it.",
];

/** Thoughts, words, and tools with their outputs, as an agent that works for hours leaves them. */
function longConversation(count: number, now: number): TranscriptEntry[] {
  return Array.from({ length: count }, (_, at): TranscriptEntry => {
    const entry = { turn: 2, at: now - (count - at) * 200 };
    switch (at % 6) {
      case 0:
        return { ...entry, kind: "thought", text: `What does file ${at} do? It may be the one that rounds.` };
      case 1:
        return {
          ...entry,
          kind: "tool",
          name: "shell",
          state: "started",
          text: JSON.stringify({ command: `sed -n ${at},${at + 40}p src/price.ts` }),
        };
      case 2: {
        const lines = Array.from(
          { length: 12 },
          (__, line) => `\u001b[3${line % 8}m${at + line}\u001b[0m const price${line} = round(cents * ${line});`,
        );
        return { ...entry, kind: "tool", name: "shell", state: at % 96 === 2 ? "failed" : "done", text: lines.join("\n") };
      }
      case 5:
        return { ...entry, kind: "note", text: `note ${at}` };
      default:
        return { ...entry, kind: "text", text: `${paragraphs[at % 3] ?? ""} (${at})` };
    }
  });
}

/** A repository with one change of so many lines in 40 files, in the mirror of `shop-02`. */
function makeLargeChange(home: string, lines: number): { base: string; commit: string; files: string[] } {
  const folder = join(dirname(home), "shop-02");
  const identity = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.org"];
  const git = (...args: string[]): string => execFileSync("git", [...identity, "-C", folder, ...args], { encoding: "utf8" }).trim();
  const files = Array.from({ length: 40 }, (_, at) => `src/part-${at}.ts`);
  // From a few lines to a few thousand; the sum of 1 to 40 is 820.
  const linesOf = (at: number): number => Math.ceil(((at + 1) / 820) * (lines / 2));
  const commitAll = (word: string): string => {
    for (const [at, name] of files.entries()) {
      const text = Array.from(
        { length: linesOf(at) },
        (_, line) => `export const value${line} = ${word}(${line}, "a text of some length");\n`,
      );
      writeFileSync(join(folder, name), text.join(""));
    }
    git("add", "-A");
    git("commit", "-q", "-m", word);
    return git("rev-parse", "HEAD");
  };
  mkdirSync(join(folder, "src"), { recursive: true });
  git("init", "-q", "-b", "main");
  const [base, commit] = [commitAll("before"), commitAll("after")];
  mkdirSync(join(home, "repositories"), { recursive: true });
  git("clone", "-q", "--bare", folder, join(home, "repositories", "shop-02.git"));
  return { base, commit, files };
}
