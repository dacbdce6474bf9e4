import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { readTerminal } from "../../config.ts";

// Compiling some hundred modules takes longer than most verbs: it is kept in the person's own cache folder, where no agent can write.
const { cacheHome, userHome } = readTerminal();
if (existsSync(userHome)) enableCompileCache(join(cacheHome, "tutti", "compiled"));

// A reader that has gone away (`tutti ls | head -1`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

// What is loaded before this line is paid for by every key that a shell completes.
if (process.argv[2] === "__complete") {
  const { complete } = await import("./completion/complete.ts");
  await complete(process.argv.slice(3));
} else {
  const { leaveOnInterrupt } = await import("./interrupt.ts");
  const { runProgram } = await import("./program.ts");
  leaveOnInterrupt();
  process.exitCode = await runProgram(process.argv.slice(2));
}
