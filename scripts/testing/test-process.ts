import childProcess from "node:child_process";
import { syncBuiltinESMExports } from "node:module";
import { isMainThread } from "node:worker_threads";

/** Loaded into the process of every test file before its tests, and into the servers that they start while coverage is measured. */

// A test that leaves a timer, a socket or a process behind would keep its file open for ever. Here it ends, red, and says what was left.
const graceMs = Number(process.env["TUTTI_TEST_GRACE_MS"] ?? 5_000);
const leftSomethingOpen = 70;

async function watchTheEnd(): Promise<void> {
  const { after } = await import("node:test");
  after(() => {
    setTimeout(() => {
      console.error(`All tests of this file ended, and ${graceMs / 1000} s later these still kept it open: ${openResources().join(", ")}`);
      process.exit(leftSomethingOpen);
    }, graceMs).unref();
  });
}

/** Without the pipes on which the results are written. */
const openResources = (): string[] => process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap" && name !== "TTYWrap");

/**
 * While coverage is measured, Node slips NODE_V8_COVERAGE into every environment, also into one that was put together with care.
 * Here a process that is started with an environment of its own gets that one and no more. Only Tutti's own programs are
 * measured, and in these the same holds for the processes that they start.
 */
function keepEnvironments(): void {
  const { spawn } = childProcess;
  const spawnAsGiven = (program: string, ...rest: unknown[]): childProcess.ChildProcess => {
    const more = isTutti(rest[0]) ? { NODE_OPTIONS: `--import=${import.meta.filename}` } : { NODE_V8_COVERAGE: undefined };
    const given = rest.map((argument) => (isOptions(argument) ? { ...argument, env: { ...more, ...argument.env } } : argument));
    return Reflect.apply(spawn, childProcess, [program, ...given]) as childProcess.ChildProcess;
  };
  Object.assign(childProcess, { spawn: spawnAsGiven });
  syncBuiltinESMExports();
}

const isTutti = (args: unknown): boolean =>
  Array.isArray(args) && args.some((arg) => /[/]src[/](main|entry[/]cli[/]main)\.ts$/.test(String(arg)));

const isOptions = (argument: unknown): argument is { env: NodeJS.ProcessEnv } =>
  typeof argument === "object" && argument !== null && !Array.isArray(argument) && "env" in argument && argument.env !== undefined;

// Threads inherit the flag that loads this file; only the main thread is meant.
if (isMainThread && process.env["NODE_V8_COVERAGE"]) keepEnvironments();
if (isMainThread && process.argv[1]?.endsWith(".test.ts")) await watchTheEnd();
