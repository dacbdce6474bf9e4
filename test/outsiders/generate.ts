import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/**
 * Programs of others judge our description: a linter for OpenAPI, a generator of types with the compiler that it needs, and the
 * client that goes with it.
 */
const here = import.meta.dirname;
const require = createRequire(import.meta.url);
const generator = join(dirname(require.resolve("openapi-typescript/package.json")), "bin/cli.js");
const compiler = require.resolve("typescript/bin/tsc");
/** The folders that hold the client's package, and the types of Node. */
const packages = require.resolve("openapi-fetch").replace(/(node_modules)[/\\]openapi-fetch[/\\].*$/, "$1");
const nodeTypes = dirname(dirname(require.resolve("@types/node/package.json")));

export interface LintProblem {
  severity: "error" | "warn";
  ruleId: string;
  message: string;
  location: { pointer?: string }[];
}

interface Linter {
  createConfig(config: { extends: string[] }): Promise<unknown>;
  lintFromString(options: { source: string; absoluteRef: string; config: unknown }): Promise<LintProblem[]>;
}

/** What Redocly's linter says by its recommended rules; the structure of OpenAPI 3.1 is one of them. */
export async function lint(source: string): Promise<LintProblem[]> {
  const { createConfig, lintFromString } = createRequire(generator)("@redocly/openapi-core") as Linter;
  return await lintFromString({
    source,
    absoluteRef: join(here, "openapi.json"),
    config: await createConfig({ extends: ["recommended"] }),
  });
}

export interface Ended {
  code: number;
  output: string;
}

/** Writes a package into `folder` with the types that the generator makes of the description, and the client program beside them. */
export async function generateClient(folder: string, description: string): Promise<Ended> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "openapi.json"), description);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  const compilerOptions = {
    target: "esnext",
    module: "esnext",
    moduleResolution: "bundler",
    lib: ["esnext", "dom", "dom.iterable", "dom.asynciterable"],
    types: ["node"],
    typeRoots: [nodeTypes],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }));
  copyFileSync(join(here, "round-trip.ts.txt"), join(folder, "main.ts"));
  symlinkSync(packages, join(folder, "node_modules"), "dir");
  return await run([generator, "openapi.json", "-o", "api.ts", "--default-non-nullable=false"], folder);
}

/** Checks the client program with the generator's compiler, strictly. */
export const checkTypes = (folder: string): Promise<Ended> => run([compiler, "-p", folder], folder);

export const runClient = (folder: string, words: string[]): Promise<Ended> =>
  run(["--disable-warning=ExperimentalWarning", "main.ts", ...words], folder);

function run(argv: string[], cwd: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, argv, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, output }));
  });
}
