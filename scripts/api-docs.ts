import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { format } from "oxfmt";
import { entries } from "../src/commands.ts";
import { openApiOf } from "../src/entry/openapi.ts";
import { explanations } from "../src/explain.ts";
import { makeRegistry } from "../src/registry.ts";
import { apiPage } from "./api-docs/api-page.ts";
import { errorsPage } from "./api-docs/errors-page.ts";

/**
 * `npm run docs` writes docs/api.md from the API's description and docs/errors.md from the texts of `tutti explain`.
 * `npm run docs -- --check` writes nothing and ends with 1 when one of them is not what would be written.
 */
const root = dirname(import.meta.dirname);

/** The pages by path, as they would be written now. */
export async function pages(): Promise<Record<string, string>> {
  // Without a version: a release must not change what the API is.
  const document = openApiOf(makeRegistry(entries), "");
  return {
    "docs/api.md": await formatted("api.md", apiPage(document)),
    "docs/errors.md": await formatted("errors.md", errorsPage(explanations())),
  };
}

async function formatted(name: string, text: string): Promise<string> {
  const { printWidth } = JSON.parse(readFileSync(join(root, ".oxfmtrc.json"), "utf8")) as { printWidth: number };
  const { code, errors } = await format(name, text, { printWidth });
  if (errors.length > 0) throw new Error(`${name}: ${errors.map(({ message }) => message).join("; ")}`);
  return code;
}

/** The paths of pages that are not what would be written now. */
export async function stalePages(): Promise<string[]> {
  const isStale = ([path, text]: [string, string]): boolean =>
    !existsSync(join(root, path)) || readFileSync(join(root, path), "utf8") !== text;
  return Object.entries(await pages())
    .filter(isStale)
    .map(([path]) => path);
}

async function main(checkOnly: boolean): Promise<number> {
  const stale = await stalePages();
  if (checkOnly) {
    for (const path of stale) console.error(`${path} is not what the source says: npm run docs`);
    return stale.length > 0 ? 1 : 0;
  }
  const now = await pages();
  for (const path of stale) writeFileSync(join(root, path), now[path] ?? "");
  console.log(stale.length > 0 ? `written: ${stale.join(", ")}` : "nothing has changed");
  return 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.includes("--check"));
