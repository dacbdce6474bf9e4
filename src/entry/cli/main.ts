import { leaveOnInterrupt } from "./interrupt.ts";
import { runProgram } from "./program.ts";

leaveOnInterrupt();
// A reader that has gone away (`tutti ls | head -1`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
process.exitCode = await runProgram(process.argv.slice(2));
