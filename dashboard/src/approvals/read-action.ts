/**
 * What a person is shown of an action. A command is shown as one, because that is how a person judges it; everything else as the
 * whole JSON. Nothing is left out: what the headline does not hold stands in `rest`. Pure.
 */
export interface ShownAction {
  /** The exact command line, when the action is one. */
  command: string | null;
  /** All other fields. */
  rest: { name: string; text: string }[];
}

const commandFields = ["command", "cmd", "commandLine", "script"];

interface Option {
  label: string;
  allows: boolean;
  lasting: boolean;
}

/** A request as the server keeps it: the tool and the question's own id stand elsewhere, the action is what is judged. */
interface Request {
  action: unknown;
  options: Option[];
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

// By hand: a schema's library is too large for the first screen.
const isOption = (value: unknown): value is Option =>
  isRecord(value) && typeof value["label"] === "string" && typeof value["allows"] === "boolean" && typeof value["lasting"] === "boolean";

const isRequest = (value: unknown): value is Record<string, unknown> & Request =>
  isRecord(value) && typeof value["tool"] === "string" && Array.isArray(value["options"]) && value["options"].every(isOption);

export function readAction(raw: unknown): ShownAction {
  if (!isRequest(raw)) return readFields(raw);
  const { command, rest } = readFields(raw.action);
  // An option's name is the agent program's own; what it does is said beside it.
  const answers = raw.options.map(
    ({ label, allows, lasting }) => `${label}: ${allows ? "allows" : "refuses"}${lasting ? " from now on" : ""}`,
  );
  return { command, rest: [...rest, { name: "answers", text: answers.join("; ") }] };
}

function readFields(action: unknown): ShownAction {
  if (typeof action !== "object" || action === null || Array.isArray(action))
    return { command: null, rest: [{ name: "action", text: textOf(action) }] };
  const fields = Object.entries(action as Record<string, unknown>);
  const nested = fields.find(
    ([name, value]) => (name === "rawInput" || name === "input") && typeof value === "object" && value !== null && !Array.isArray(value),
  );
  const inner = nested ? (Object.entries(nested[1] as Record<string, unknown>) as [string, unknown][]) : [];
  const found = [...fields, ...inner].find(([name, value]) => commandFields.includes(name) && isCommand(value));
  const rest = [...fields.filter((field) => field !== nested), ...inner].filter((field) => field !== found);
  return {
    command: found ? commandOf(found[1]) : null,
    rest: rest
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => ({ name, text: textOf(value) })),
  };
}

const isCommand = (value: unknown): boolean =>
  (typeof value === "string" && value !== "") ||
  (Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === "string"));

/** An argv is written so that its words cannot be taken for others. */
const commandOf = (value: unknown): string =>
  Array.isArray(value) ? value.map((word: unknown) => quoted(String(word))).join(" ") : String(value);

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

export const textOf = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? String(value)));
