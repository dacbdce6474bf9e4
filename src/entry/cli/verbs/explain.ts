import type { Command } from "commander";
import { AppError } from "../../../errors.ts";
import type { Explanation } from "../../../explain.ts";
import { nearest } from "../../../flows/suggest.ts";
import { wantsJson } from "../options.ts";
import { print, printJson, styled, table } from "../output.ts";

// Loaded when it is called: help and completion need none of it.
const texts = () => import("../../../explain.ts");

/** `tutti explain`: what an error code, or the reason of a state, means and what to do. Needs no server. */
export function addExplainVerb(program: Command): void {
  program
    .command("explain")
    .description("what an error code or a reason means, and what to do; needs no server")
    .argument("[code...]", 'not_found, E_NOT_FOUND, "check failed"; without one a list of all')
    .action(async (words: string[], _options: unknown, command: Command) => {
      const { explanations } = await texts();
      if (words.length === 0) list(explanations(), wantsJson(command));
      else await show(words.join(" "), wantsJson(command));
    });
}

/** Throws AppError not_found with the name that was probably meant. */
async function show(text: string, json: boolean): Promise<void> {
  const { explain, explanations } = await texts();
  const found = explain(text);
  if (!found) throw unknown(text, explanations());
  if (json) return printJson(found);
  const { kind, name, exitCode, status, means, when, fix } = found;
  print(`${styled("bold", name)}  ${kind === "error" ? `an error: exit code ${exitCode}, HTTP status ${status}` : "a reason"}`);
  const twin = explanations().find((one) => one.kind !== kind && spoken(one.name) === spoken(name));
  const rows: [string, string][] = [
    ["means", means],
    ["when", when],
    ...fix.map((one, index): [string, string] => [index === 0 ? "try" : "", one]),
    ...(twin ? [["see", `tutti explain ${twin.name}`] satisfies [string, string]] : []),
  ];
  for (const [title, words] of rows) print(`  ${styled("dim", title.padEnd(5))}  ${words}`);
}

const spoken = (name: string): string => name.replaceAll("_", " ");

function list(items: Explanation[], json: boolean): void {
  if (json) return printJson({ items });
  const of = (kind: Explanation["kind"]): Explanation[] => items.filter((one) => one.kind === kind);
  const name = { title: "NAME", value: (one: Explanation) => one.name };
  const means = { title: "MEANS", value: (one: Explanation) => one.means };
  const exit = { title: "EXIT", value: (one: Explanation) => String(one.exitCode) };
  const http = { title: "HTTP", value: (one: Explanation) => String(one.status) };
  print(`${styled("bold", "Errors")}\n${table(of("error"), [name, exit, http, means])}`);
  print(`\n${styled("bold", "Reasons")}\n${table(of("reason"), [name, means])}`);
}

function unknown(text: string, items: Explanation[]): AppError {
  const word = spoken(text.toLowerCase().replace(/^e_/, "").replaceAll("-", " "));
  const meant = nearest(word, new Set(items.map(({ name }) => spoken(name))));
  return new AppError("not_found", `there is no error and no reason called "${text}"`, {
    fix: meant === null ? ["tutti explain"] : [`tutti explain ${meant}`, "tutti explain"],
  });
}
