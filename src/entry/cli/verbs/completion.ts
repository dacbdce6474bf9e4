import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { readTerminal, type Terminal } from "../../../config.ts";
import { invalidInput } from "../../../errors.ts";
import { nearest } from "../../../flows/suggest.ts";
import { scripts, shells, type Shell } from "../completion/scripts.ts";
import { note, oneLine, print, printJson, styled } from "../output.ts";

export const printCompletion = (shell: Shell): void => void process.stdout.write(scripts[shell]);

/** Which file of the person's gets which line. The line asks `tutti` for its script, so that it never grows old. */
function planInstall(shell: Shell, { userHome, zshHome, configHome }: Terminal): { file: string; line: string } {
  switch (shell) {
    case "bash":
      return { file: join(userHome, ".bashrc"), line: "command -v tutti >/dev/null 2>&1 && source <(tutti completion bash)" };
    case "zsh":
      return { file: join(zshHome, ".zshrc"), line: "command -v tutti >/dev/null 2>&1 && source <(tutti completion zsh)" };
    case "fish":
      return { file: join(configHome, "fish", "completions", "tutti.fish"), line: "tutti completion fish | source" };
    case "powershell":
      return {
        file: join(configHome, "powershell", "profile.ps1"),
        line: "if (Get-Command tutti -ErrorAction Ignore) { tutti completion powershell | Out-String | Invoke-Expression }",
      };
  }
}

/**
 * Shows the exact change, asks, and adds one line at the end of the file; nothing else of it is touched, and a second time nothing.
 * Throws AppError invalid_input for a shell that is not known, and where nobody can be asked.
 */
export async function installCompletion(given: string | undefined, { yes = false }: { yes?: boolean }, json: boolean): Promise<void> {
  const terminal = readTerminal();
  const shell = shellOf(given ?? terminal.shell);
  const { file, line } = planInstall(shell, terminal);
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  const isThere = before.split("\n").includes(line);
  if (!isThere) {
    note(`${file} gets this at its end:\n${styled("green", `+ ${line}`, process.stderr)}`);
    if (!yes && !(await agreed())) return json ? printJson({ file, line, changed: false }) : note("nothing was changed");
    await mkdir(dirname(file), { recursive: true });
    await appendFile(file, `${before === "" || before.endsWith("\n") ? "" : "\n"}${line}\n`);
  }
  if (json) printJson({ file, line, changed: !isThere });
  else print(isThere ? `${file} has it already` : `added to ${file}; it works in the next ${shell} that you open`);
}

function shellOf(name: string | null): Shell {
  const known = shells.find((shell) => shell === (name === "pwsh" ? "powershell" : name));
  if (known) return known;
  const meant = name === null ? null : nearest(name, shells);
  throw invalidInput(
    name === null ? "your shell is not known" : `there is no completion for "${oneLine(name)}"`,
    `there are: ${shells.join(", ")}`,
    [`tutti completion install ${meant ?? "bash"}`],
  );
}

/** Throws AppError invalid_input without a terminal: nobody said yes. */
async function agreed(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw invalidInput("nobody can be asked here", "there is no terminal", ["tutti completion install --yes"]);
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  asking.once("SIGINT", () => process.emit("SIGINT"));
  try {
    return /^y(es)?$/i.test((await asking.question("Do it? [y/N] ")).trim());
  } finally {
    asking.close();
  }
}
