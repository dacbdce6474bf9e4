// What the model server says: the first rule that fits, else it obeys the directives in the newest words of the user.
import {
  newestPrompt,
  transcript,
  userPrompts,
  type Conversation,
  type Json,
  type Reply,
  type ToolCall,
  type UsageFigures,
} from "./conversation.ts";
import { readCall, runCall, writeCall } from "./tools.ts";

export interface Rule {
  /** Shown in the log; `release(name)` lets only this rule's requests go on. */
  name?: string;
  /** Regular expression (ignoring case, `.` does not match line ends) on the conversation's text; without it the rule always fits. */
  match?: string;
  /** Only the newest words of the user are matched (default), or everything that was said, with the system prompt. */
  in?: "newest" | "conversation";
  /** Fits only when the newest thing is a prompt, or a tool's result. Default: "prompt" for rules with tool calls (they would never end), else "any". */
  when?: "prompt" | "tool result" | "any";
  /** Fits only requests that offer tools, or only those that offer none (titles, summaries). */
  tools?: boolean;
  /** How many requests it answers before it is spent; without it, all. */
  times?: number;

  reply?: string;
  /** Calls of the client's tools, by the names that it offers. */
  calls?: { name: string; arguments: Json | string }[];
  /** The same directives as in a prompt ("WRITE a.txt: hello"), so that the rule decides what is written and the client's tool is found. */
  obey?: string;
  /** Waits before anything is answered: milliseconds, or until `release()`. */
  delay?: number | "until released";
  error?: { status: number; message?: string; retryAfterSeconds?: number };
  /** broken: the connection is cut after the first part; silent: the first part and then nothing until the client goes away. */
  stream?: "broken" | "silent";
  /** null: no usage at all. */
  usage?: UsageFigures | null;
  stop?: "length" | "refusal";
}

interface Directive {
  verb: "WRITE" | "RUN" | "READ";
  subject: string;
  content: string;
}

/** `WRITE path: content` (`\n` is a line end in it), `RUN command`, `READ path`: one a line. */
function directivesIn(text: string): Directive[] {
  const found: Directive[] = [];
  for (const line of text.split(/\r?\n/)) {
    const write = /^\W{0,3}WRITE\s+([^\s:]+):\s?(.*)$/.exec(line);
    const other = /^\W{0,3}(RUN|READ):?\s+(.+)$/.exec(line);
    if (write) found.push({ verb: "WRITE", subject: write[1] ?? "", content: `${(write[2] ?? "").replaceAll("\\n", "\n")}\n` });
    else if (other) found.push({ verb: other[1] === "RUN" ? "RUN" : "READ", subject: (other[2] ?? "").trim(), content: "" });
  }
  return found;
}

function callFor(conversation: Conversation, { verb, subject, content }: Directive): ToolCall | null {
  if (verb === "WRITE") return writeCall(conversation, subject, content);
  if (verb === "RUN") return runCall(conversation, subject);
  return readCall(conversation, subject);
}

function usageOf(conversation: Conversation, text: string): UsageFigures {
  return { input: Math.ceil(transcript(conversation).length / 4), output: Math.max(1, Math.ceil(text.length / 4)), cached: 0 };
}

/**
 * Obeys one directive per request, in order: as many are done as tool results came since they were given. `SAY: text` is answered with the
 * text, `RECALL` with everything that the user said before; other words are repeated.
 */
export function obey(conversation: Conversation, instructions: string, results: string[]): { text: string; toolCalls: ToolCall[] } {
  const directives = conversation.tools.length === 0 ? [] : directivesIn(instructions);
  const next = directives[results.length];
  const call = next && callFor(conversation, next);
  if (next && call) return { text: `I will ${next.verb.toLowerCase()} ${next.subject}.`, toolCalls: [call] };
  if (next) return { text: `No tool offered can ${next.verb.toLowerCase()}.`, toolCalls: [] };
  const say = /^\W{0,3}SAY:?\s+(.+)$/m.exec(instructions)?.[1];
  if (say) return { text: say, toolCalls: [] };
  if (/^\W{0,3}RECALL\b/m.test(instructions)) return { text: `You said: ${userPrompts(conversation).join(" | ")}`, toolCalls: [] };
  if (results.length > 0) return { text: `Finished. The tools answered: ${results.join(" | ").slice(0, 2_000)}`, toolCalls: [] };
  return { text: `You said: ${instructions.slice(0, 2_000)}`, toolCalls: [] };
}

/** Whether the rule answers this conversation; its count of uses is kept by the caller. */
export function fits(rule: Rule, conversation: Conversation): boolean {
  const { text, results } = newestPrompt(conversation);
  const when = rule.when ?? (rule.calls ? "prompt" : "any");
  if (when === "prompt" && results.length > 0) return false;
  if (when === "tool result" && results.length === 0) return false;
  if (rule.tools !== undefined && rule.tools !== conversation.tools.length > 0) return false;
  const words = rule.in === "conversation" ? transcript(conversation) : text;
  return rule.match === undefined || new RegExp(rule.match, "i").test(words);
}

/** The reply of a rule (or of none). */
export function replyOf(conversation: Conversation, rule: Rule | undefined): Reply {
  const { text, results } = newestPrompt(conversation);
  const obeyed = obey(conversation, rule?.obey ?? text, results);
  const said = rule?.reply ?? (rule?.calls ? "" : obeyed.text);
  const toolCalls = rule?.calls ?? (rule?.reply === undefined ? obeyed.toolCalls : []);
  const usage = rule?.usage === undefined ? usageOf(conversation, said + JSON.stringify(toolCalls)) : rule.usage;
  return { text: said, toolCalls, usage, stop: rule?.stop };
}
