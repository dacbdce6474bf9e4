import { posix } from "node:path";
import { risksOfCommand } from "./risk-command.ts";

/** What the raw action of a permission request risks. */
interface Judgement {
  /** high: a rule fits. low: everything in it is known, and no rule fits. null: not known. */
  risk: "high" | "low" | null;
  /** The names of the rules that fit, in words. */
  risks: string[];
}

/** What a field of an action says, told by its name: programs differ, these names are what they have in common. */
type Role = "command" | "path" | "address" | "words" | "unknown";

/** Their names, in lower case, without dashes. */
const fields: Record<Exclude<Role, "unknown">, string> = {
  command: "command cmd commandline script shell code argv args program run executable",
  path:
    "path paths file files filepath filename absolutepath relativepath directory dir folder cwd workdir root target " +
    "destination source from to oldpath newpath locations",
  address: "url urls uri href endpoint host hostname domain server",
  // What is written into a file, and what is said about it: neither is done.
  words:
    "content contents text newtext oldtext newstring oldstring patch diff title description kind explanation reason thought " +
    "comment message pattern query type encoding",
};

const roles = new Map<string, Role>(
  Object.entries(fields).flatMap(([role, names]) => names.split(" ").map((name): [string, Role] => [name, role as Role])),
);

const roleOf = (field: string): Role => roles.get(field.toLowerCase().replaceAll(/[_-]/g, "")) ?? "unknown";

interface Leaf {
  role: Role;
  field: string;
  text: string;
}

/** An agent that sends more than this does not want to be read. */
const mostLeaves = 2_000;
const mostText = 20_000;

const secretPlaces =
  /(?:^|[\s/\\"'=:])(?:\.env(?!\.(?:example|sample|template|dist)\b)(?:\.[\w-]+)?|\.ssh|\.aws|\.azure|\.gnupg|\.kube|\.netrc|\.npmrc|\.pypirc|\.pgpass|\.git-credentials|\.docker\/config\.json|\.password-store|id_(?:rsa|dsa|ecdsa|ed25519)|credentials?(?:\.\w+)?|secrets?(?:\.\w+)?|shadow|keychain|[\w.-]+\.(?:pem|p12|pfx|key|keystore|jks|kdbx))(?=$|[\s/\\"';&|)])/i;

/** What git does by itself later, outside of the sandbox too. */
const insideOfGit = /(?:^|[\s/\\"'=])\.git\/(?:hooks|config|info|modules)\b/;

const readers = /^(?:read|view|open|list|ls|glob|grep|search|find|list_directory|read_file|read_many_files|list_files)$/;
const writers =
  /^(?:write|edit|multiedit|multi_edit|create|write_file|edit_file|create_file|str_replace|replace|apply_patch|notebookedit)$/;
const networkTools = /web|fetch|browse|download|upload|https?\b/i;

/** Programs that only look, called plainly: no redirection, no substitution, no other command behind them. */
const plainLook =
  /^(?:ls|cat|head|tail|wc|pwd|stat|file|tree|du|grep|diff|sort|uniq|cut|echo|which|true|basename|dirname|git (?:status|log|diff|show|blame|rev-parse|ls-files))(?: [\w./=:@,%+*?^~-]+)*$/;

/** With these they write, or start other programs. */
const notOnlyLook = / (?:-o|-O|--output|--ext-diff|--textconv|--open-files-in-pager|--compress-program)(?:[= ]|$)/;

/**
 * Judges an action. Pure, and over the raw action only: nothing that an agent says about it makes its risk smaller. `workspace` is
 * the folder that the agent works in, as the agent sees it; null: not known, then every absolute path is outside. The rules are a
 * help for the eye and no fence, the sandbox is; what is not recognised is never called low.
 */
export function judge(tool: string, action: unknown, workspace: string | null): Judgement {
  const leaves = leavesOf(action);
  // Some programs tell the command in the title only.
  const hasCommand = leaves.some(({ role }) => role === "command");
  const looked = leaves.flatMap((leaf) =>
    leaf.role !== "words" ? leaf : leaf.field === "title" && !hasCommand ? { ...leaf, role: "unknown" as const } : [],
  );
  const risks = new Set(looked.flatMap((leaf) => risksOf(leaf, workspace)));
  if (networkTools.test(tool)) risks.add("network");
  if (leaves.length > mostLeaves || looked.some(({ text }) => text.length > mostText)) risks.add("too long to be judged");
  if (risks.size > 0) return { risk: "high", risks: [...risks] };
  return { risk: isMild(tool.toLowerCase(), leaves) ? "low" : null, risks: [] };
}

function risksOf({ role, text: whole }: Leaf, workspace: string | null): string[] {
  const text = whole.slice(0, mostText);
  const found: string[] = [];
  if (secretPlaces.test(text)) found.push("secrets");
  if (insideOfGit.test(text)) found.push("changes what git runs");
  if (role === "address" && text !== "") found.push("network");
  if (role === "path") {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
    if (scheme !== undefined && scheme !== "file") found.push("network");
    else if (scheme === "file" || isOutside(text, workspace)) found.push("outside the workspace");
  }
  if (role === "command" || role === "unknown") {
    found.push(...risksOfCommand(text));
    if (absolutePaths(text).some((path) => !isHarmless(path) && isOutside(path, workspace))) found.push("outside the workspace");
  }
  return found;
}

/** Every text inside, with the name that it stands under; a list of texts (argv) is also one line. */
function leavesOf(action: unknown): Leaf[] {
  const leaves: Leaf[] = [];
  const walk = (value: unknown, field: string, under: Role, depth: number): void => {
    if (leaves.length > mostLeaves) return;
    const named = roleOf(field);
    const role = named === "unknown" && under === "words" ? "words" : named;
    // Deeper than anything that a program sends: not looked at, and so not called low.
    if (depth > 20) leaves.push({ role: "unknown", field, text: "" });
    else if (typeof value === "string") leaves.push({ role, field, text: value });
    else if (Array.isArray(value)) {
      if (value.length > 1 && value.every((item) => typeof item === "string")) leaves.push({ role, field, text: value.join(" ") });
      if (role !== "command") for (const item of value) walk(item, field, under, depth + 1);
      else if (value.length === 1 || !value.every((item) => typeof item === "string")) {
        for (const item of value) walk(item, field, under, depth + 1);
      }
    } else if (typeof value === "object" && value !== null) {
      for (const [name, inner] of Object.entries(value)) walk(inner, name, role === "words" ? "words" : under, depth + 1);
    }
  };
  walk(action, "", "unknown", 0);
  return leaves;
}

const absolutePaths = (text: string): string[] =>
  [...text.matchAll(/(?:^|[\s="'(<>,]|:(?!\/\/))(\/[^\s"';&|()<>,]*)/g)].map(([, path]) => path ?? "");

/** Programs and libraries may be read, /tmp is the session's own. */
const isHarmless = (path: string): boolean =>
  !path.includes("..") &&
  /^\/(?:$|dev\/(?:null|stdin|stdout|stderr)$|tmp(?:\/|$)|usr\/(?:local\/)?(?:bin|lib|share)(?:\/|$)|bin\/)/.test(path);

function isOutside(path: string, workspace: string | null): boolean {
  if (path === "") return false;
  if (/^(?:~|\$|[A-Za-z]:[\\/]|\\\\)/.test(path)) return true;
  if (workspace === null && path.startsWith("/")) return true;
  const root = workspace ?? "/workspace";
  const whole = posix.resolve(root, path);
  return whole !== root && !whole.startsWith(`${root}/`);
}

function isMild(tool: string, leaves: Leaf[]): boolean {
  if (leaves.some(({ role }) => role === "unknown" || role === "address")) return false;
  const commands = leaves.filter(({ role }) => role === "command");
  if (commands.length > 0)
    return commands.every(({ text }) => text.split(/ (?:&&|\|) /).every((part) => plainLook.test(part) && !notOnlyLook.test(part)));
  return (readers.test(tool) || writers.test(tool)) && leaves.some(({ role }) => role === "path");
}

/** The action in one line for a list: the command or the place itself, else the whole as JSON. At most `most` characters. */
export function actionLine(tool: string, action: unknown, most = 300): string {
  const leaves = leavesOf(action);
  const command = leaves.find(({ role, text }) => role === "command" && text !== "");
  const place = leaves.find(({ role, text }) => (role === "path" || role === "address") && text !== "");
  const line = command ? command.text : place ? `${tool} ${place.text}` : `${tool} ${JSON.stringify(action) ?? ""}`;
  const flat = line
    .slice(0, 4 * most)
    .replaceAll(/\s+/g, " ")
    .trim();
  return flat.length > most ? `${flat.slice(0, most - 1)}…` : flat;
}
