import { parseArgs } from "node:util";
import { planted as allPlanted, type Planted } from "./planted.ts";
import { simulate, type Outcome, type SimulateOptions } from "./simulate.ts";
import { makeEngine } from "./store.ts";

/**
 * `npm run sim -- [--seeds 20000] [--seed S] [--planted <name>|all|none] [--hard] [--json]`: runs the product through seeds of faults, and
 * then through bugs that are planted in it, each of which must be found. The last line is one JSON object. Exits 0 only when the product
 * broke nothing and every planted bug was found.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "20000" },
    /** The first seed; with one seed alone: replayed with a trace. */
    seed: { type: "string" },
    planted: { type: "string", default: "all" },
    hard: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

// Errors are values here, made by the thousand: nobody reads where they came from.
if (values.seed === undefined) Error.stackTraceLimit = 0;

const say = (line: string): void => {
  if (!values.json) process.stdout.write(`${line}\n`);
};

const isHard = values.hard;
const tailLines = 40;

async function replay(options: SimulateOptions, seed: number, lines: number): Promise<Outcome> {
  const tail: string[] = [];
  const outcome = await simulate(seed, {
    ...options,
    trace: (line) => {
      tail.push(line);
      if (tail.length > lines) tail.shift();
    },
  });
  for (const line of tail) say(`  ${line}`);
  return outcome;
}

function chosen(): readonly Planted[] {
  if (values.planted === "none" || values.seed !== undefined) return [];
  if (values.planted === "all") return allPlanted;
  const found = allPlanted.filter(({ name }) => name === values.planted);
  if (found.length === 0)
    throw new Error(`no planted bug is called "${values.planted}"; there are: ${allPlanted.map(({ name }) => name).join(", ")}`);
  return found;
}

async function run(): Promise<boolean> {
  const first = values.seed === undefined ? 1 : Number(values.seed);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const options: SimulateOptions = { engine: makeEngine(), isHard };
  if (values.seed !== undefined) {
    const outcome = await replay(options, first, Infinity);
    say(outcome.violation ? `seed ${first} broke ${outcome.violation.detail}` : `seed ${first} broke nothing in ${outcome.steps} steps`);
  }
  let steps = 0;
  let bites = 0;
  let violations = 0;
  const before = process.cpuUsage();
  for (let seed = first; seed < first + count; seed += 1) {
    const outcome = await simulate(seed, options);
    steps += outcome.steps;
    bites += outcome.bites;
    if (outcome.violation) {
      violations += 1;
      say(`seed ${seed} broke ${outcome.violation.detail}\n  replay: npm run sim -- --seed ${seed}${isHard ? " --hard" : ""}`);
      if (violations === 1 && count > 1) await replay(options, seed, tailLines);
    }
    if ((seed - first + 1) % 1000 === 0) say(`${seed - first + 1} seeds, ${steps} steps, ${violations} violations`);
  }
  // Of one core's own time: whoever else works on the machine does not count.
  const cpu = process.cpuUsage(before);
  const seconds = (cpu.user + cpu.system) / 1e6;

  const wanted = chosen();
  const caught: string[] = [];
  for (const bug of wanted) {
    const found = await findPlanted(bug);
    say(
      found === null
        ? `NOT FOUND: ${bug.name} (${bug.story})`
        : `found: ${bug.name}, at seed ${found.seed} (${found.violation?.detail ?? ""})`,
    );
    if (found) caught.push(bug.name);
  }
  const report = {
    seeds: count,
    steps,
    steps_per_s: Math.round(steps / seconds),
    mean_steps: Math.round(steps / count),
    faults_bit: Math.round((bites / count) * 10) / 10,
    violations,
    planted: wanted.map(({ name }) => name),
    caught,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return violations === 0 && caught.length === wanted.length;
}

/** The first seed that finds it. null: none does, or there is nothing of it in the product. */
async function findPlanted(bug: Planted): Promise<Outcome | null> {
  const honest = makeEngine();
  let isChanged = bug.usesServerClock ?? false;
  const engine = makeEngine(bug.make(() => (isChanged = true)));
  const options: SimulateOptions = { engine, planted: bug };
  for (let seed = 1; seed <= bug.within; seed += 1) {
    const outcome = await simulate(seed, options);
    // What the product breaks without the bug says nothing of the bug.
    if (outcome.violation && isChanged && !(await simulate(seed, { engine: honest })).violation) return outcome;
  }
  if (!isChanged) say(`  there is nothing in the product that "${bug.name}" could change`);
  return null;
}

process.exitCode = (await run()) ? 0 : 1;
