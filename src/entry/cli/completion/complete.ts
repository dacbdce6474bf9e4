import type { Command, Option } from "commander";
import { areas } from "../../../doctor/finding.ts";
import { makeProgram } from "../program.ts";
import { oneLine } from "../output.ts";
import { programWithApi } from "./api-verbs.ts";
import { liveOffers, type Kind, type Offer, type Wanted } from "./ids.ts";

const ended = ["done", "failed", "cancelled"];
const open = ["queued", "starting", "running", "needs you", "paused"];
const words = (...all: string[]): Offer[] => all.map((word) => ({ word, about: "" }));

/** What stands at the first place behind these verbs. The API's own verbs have `id` and `name`, of their noun. */
const firstArgument: Record<string, readonly Wanted[] | Offer[]> = {
  approve: [{ kind: "approval" }],
  deny: [{ kind: "approval" }],
  reply: [{ kind: "approval" }, { kind: "task", states: ended }],
  merge: [{ kind: "task", states: ["done"] }],
  stop: [
    { kind: "task", states: open },
    { kind: "run", states: open },
  ],
  retry: [
    { kind: "task", states: ["failed", "cancelled"] },
    { kind: "run", states: ["failed", "cancelled"] },
  ],
  show: [{ kind: "task" }, { kind: "run" }, { kind: "approval" }, { kind: "session" }, { kind: "agent" }, { kind: "project" }],
  attach: [{ kind: "task" }, { kind: "session" }],
  logs: [{ kind: "task" }, { kind: "session" }],
  diff: [{ kind: "task" }],
  ls: words("tasks", "runs", "approvals", "agents", "projects", "sessions"),
  doctor: words(...areas),
  "agents remove": [{ kind: "agent" }],
  "providers set": [{ kind: "provider" }],
  "providers remove": [{ kind: "provider" }],
  "projects update": [{ kind: "project" }],
  "token revoke": [{ kind: "token" }],
  "completion install": words("bash", "zsh", "fish", "powershell"),
};

/** What these options take. In `run` and `flow run`, --project is a folder: the shell knows those. */
const optionValues: Record<string, Kind> = {
  "--agent": "agent",
  "--provider": "provider",
  "--task": "task",
  "--run": "run",
  "--project": "project",
};
const folderOptions = ["run --project", "flow run --project"];

/**
 * The hidden `tutti __complete <words...> :<current>`: one `word<tab>what it is` in a line for everything that can stand where
 * `current` begins. Nothing at all where the shell's own completion (files) fits better. Never prints an error, never fails.
 */
export async function complete(given: string[]): Promise<void> {
  try {
    const current = given.at(-1)?.replace(/^:/, "") ?? "";
    const offers = await offersFor(given.slice(0, -1), current);
    process.stdout.write(offers.map(({ word, about }) => `${word}\t${about}\n`).join(""));
  } catch {
    // A message would be printed into the line that somebody is writing.
  }
}

export async function offersFor(before: readonly string[], current: string): Promise<Offer[]> {
  const light = placeIn(makeProgram(), before);
  const found = light.isKnown ? await offersAt(light, current) : [];
  const fits = found.filter(({ word }) => word.toLowerCase().startsWith(current.toLowerCase()));
  if (fits.length > 0 || (light.isKnown && !isVerbOfProgram(light, current))) return fits;
  // Not one of the everyday verbs: those of the whole API take longer to make.
  const whole = placeIn(await programWithApi(), before);
  return (await offersAt(whole, current)).filter(({ word }) => word.toLowerCase().startsWith(current.toLowerCase()));
}

const isVerbOfProgram = ({ command, arguments: count }: Place, current: string): boolean =>
  command.commands.length > 0 && count === 0 && current !== "" && !current.startsWith("-");

/** Where in the command line the current word stands. */
interface Place {
  command: Command;
  /** How many words without a dash came behind the verb. */
  arguments: number;
  /** The option whose value it is. */
  option: Option | null;
  /** Behind `--` nothing is an option. */
  onlyWords: boolean;
  /** False when a verb on the way is not one of this program's. */
  isKnown: boolean;
}

function placeIn(program: Command, before: readonly string[]): Place {
  const place: Place = { command: program, arguments: 0, option: null, onlyWords: false, isKnown: true };
  for (const word of before) {
    if (place.option) place.option = null;
    else if (word === "--") place.onlyWords = true;
    else if (word.startsWith("-") && !place.onlyWords) place.option = takesValue(place.command, word);
    else enter(place, word);
  }
  return place;
}

function enter(place: Place, word: string): void {
  const next = place.arguments === 0 ? place.command.commands.find((command) => command.name() === word) : undefined;
  if (next) place.command = next;
  else {
    if (place.command.commands.length > 0) place.isKnown = false;
    place.arguments += 1;
  }
}

function takesValue(command: Command, flag: string): Option | null {
  const option = optionsOf(command).find(({ long, short }) => flag === long || flag === short);
  return option?.required ? option : null;
}

/** The verb's own and those of every verb above it. */
const optionsOf = (command: Command): Option[] => [...command.options, ...(command.parent ? optionsOf(command.parent) : [])];

const pathOf = (command: Command): string[] => (command.parent ? [...pathOf(command.parent), command.name()] : []);

async function offersAt({ command, option, arguments: count, onlyWords }: Place, current: string): Promise<Offer[]> {
  if (option) return await valuesOf(command, option);
  if (current.startsWith("-") && !onlyWords) return flagsOf(command);
  if (count > 0) return [];
  return [
    ...command.commands.map((verb) => ({ word: verb.name(), about: oneLine(verb.description()) })),
    ...(await argumentsOf(command, current)),
  ];
}

function flagsOf(command: Command): Offer[] {
  const own = optionsOf(command).filter((option) => !option.hidden && option.long);
  return [
    ...own.map((option) => ({ word: option.long ?? "", about: oneLine(option.description) })),
    { word: "--help", about: "help about this verb" },
  ];
}

async function valuesOf(command: Command, option: Option): Promise<Offer[]> {
  if (option.argChoices) return words(...option.argChoices);
  const kind = optionValues[option.long ?? ""];
  const isFolder = folderOptions.includes([...pathOf(command), option.long].join(" "));
  return kind && !isFolder ? await liveOffers([{ kind }]) : [];
}

async function argumentsOf(command: Command, current: string): Promise<Offer[]> {
  const path = pathOf(command);
  const wanted = firstArgument[path.join(" ")] ?? ofNoun(path, command);
  const offers = wanted.filter((one): one is Offer => "word" in one);
  const live = wanted.filter((one): one is Wanted => "kind" in one && couldBe(one.kind, current));
  return [...offers, ...(live.length > 0 ? await liveOffers(live) : [])];
}

/** `tutti task get <id>`, `tutti agent update <name>`: the id or the name of the noun. */
function ofNoun([noun = ""]: string[], command: Command): readonly Wanted[] {
  const kind = noun.replace(/s$/, "");
  const [first] = command.registeredArguments;
  return isKind(kind) && (first?.name() === "id" || first?.name() === "name") ? [{ kind }] : [];
}

const isKind = (word: string): word is Kind =>
  ["task", "run", "session", "approval", "agent", "project", "provider", "token"].includes(word);

/** Whoever has written `T-` wants a task: the others are not asked for. */
function couldBe(kind: Kind, current: string): boolean {
  const letter = /^([trsa])-/i.exec(current)?.[1]?.toLowerCase();
  return letter === undefined || { t: "task", r: "run", s: "session", a: "approval" }[letter] === kind;
}
