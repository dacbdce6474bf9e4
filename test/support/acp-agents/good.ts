// A well-behaved ACP agent without a model: it does what its prompts say, one directive a line, and remembers sessions in its HOME.
//   WRITE file: text   ASK file: text (asks first)   SAY text   RECALL   THINK text   SLEEP (until cancelled)   CALL method
//   FAIL text   LIMIT text   EXPIRED   ERRORTEXT text   EMPTY   REFUSE   CUT   GIVEUP   DIE code   PRINT variable   STDERR text
import { mkdirSync, readFileSync, writeFileSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { RpcError, serve, type Params, type Wire } from "./wire.ts";

/** resume, load: what it can do with old sessions; lies: it says that it can resume, and only loads; without any it forgets. */
export type Memory = "resume" | "load" | "lies" | "none";

interface Session {
  id: string;
  cwd: string;
  prompts: string[];
  cancelled: () => void;
  isCancelled: boolean;
  tokens: number;
}

const folder = join(process.env.HOME ?? "", ".good-agent");
const fileOf = (id: string): string => join(folder, `${id}.json`);
let counter = 0;

export function beGood(memory: Memory): void {
  const sessions = new Map<string, Session>();

  const open = (id: string, cwd: string, prompts: string[]): Session => {
    const session: Session = { id, cwd, prompts, cancelled: () => undefined, isCancelled: false, tokens: 0 };
    sessions.set(id, session);
    return session;
  };

  const recall = (params: Params, wire: Wire): Params => {
    const id = String(params.sessionId);
    if (memory === "none" || !existsSync(fileOf(id))) throw new RpcError(-32_002, "Resource not found");
    const session = open(id, String(params.cwd), JSON.parse(readFileSync(fileOf(id), "utf8")) as string[]);
    // Loading replays what was said: it must not be taken for news.
    if (memory !== "resume") for (const prompt of session.prompts) say(wire, id, `replayed ${prompt}`);
    return {};
  };

  serve(async (method, params, wire) => {
    switch (method) {
      case "initialize":
        return {
          protocolVersion: 1,
          agentCapabilities: {
            loadSession: memory === "load" || memory === "lies",
            sessionCapabilities: memory === "resume" || memory === "lies" ? { resume: {} } : {},
          },
          agentInfo: { name: "good", version: "1.0.0" },
        };
      case "session/new":
        return { sessionId: open(`good-${process.pid}-${Date.now()}-${counter++}`, String(params.cwd), []).id };
      case "session/resume":
        if (memory === "lies") throw new RpcError(-32_002, "Resource not found");
        return recall(params, wire);
      case "session/load":
        return recall(params, wire);
      case "session/prompt": {
        const session = sessions.get(String(params.sessionId));
        if (!session) throw new RpcError(-32_002, "Resource not found");
        return takeTurn(session, textOf(params.prompt), wire);
      }
      case "session/cancel": {
        const session = sessions.get(String(params.sessionId));
        if (session) session.isCancelled = true;
        return session?.cancelled();
      }
      default:
        throw new RpcError(-32_601, `"Method not found": ${method}`);
    }
  });
}

const textOf = (prompt: unknown): string => (prompt as { text?: string }[]).map(({ text }) => text ?? "").join("\n");

const update = (wire: Wire, sessionId: string, what: Params): void => wire.notify("session/update", { sessionId, update: what });
const say = (wire: Wire, id: string, text: string): void =>
  update(wire, id, { sessionUpdate: "agent_message_chunk", content: { type: "text", text } });

async function takeTurn(session: Session, text: string, wire: Wire): Promise<Params> {
  session.isCancelled = false;
  session.prompts.push(text);
  session.tokens += text.length;
  mkdirSync(folder, { recursive: true });
  writeFileSync(fileOf(session.id), JSON.stringify(session.prompts));
  let stopReason = "end_turn";
  for (const line of text.split("\n")) {
    stopReason = (await obey(session, line, wire)) ?? stopReason;
    if (session.isCancelled) stopReason = "cancelled";
    if (stopReason !== "end_turn") break;
  }
  update(wire, session.id, {
    sessionUpdate: "usage_update",
    used: session.tokens,
    size: 100_000,
    cost: { amount: session.tokens / 1000, currency: "USD" },
  });
  return { stopReason, usage: { inputTokens: text.length, outputTokens: 7, cachedReadTokens: 2, totalTokens: text.length + 7 } };
}

/** Returns the turn's stop reason when the line ends it. */
async function obey(session: Session, line: string, wire: Wire): Promise<string | null> {
  const [, verb = "", rest = ""] = /^([A-Z]+)\b:? ?(.*)$/.exec(line) ?? [];
  const [, file = "", content = ""] = /^(\S+?): ?(.*)$/.exec(rest) ?? [];
  switch (verb) {
    case "WRITE":
      return write(session, wire, file, content, false);
    case "ASK":
      return write(session, wire, file, content, true);
    case "SAY":
      for (const word of rest.split(/(?<= )/)) say(wire, session.id, word);
      return null;
    case "THINK":
      update(wire, session.id, { sessionUpdate: "agent_thought_chunk", content: { type: "text", text: rest } });
      return null;
    case "RECALL":
      say(wire, session.id, `You said: ${session.prompts.join(" | ")}`);
      return null;
    case "PRINT":
      say(wire, session.id, `${rest}=${process.env[rest] ?? ""}`);
      return null;
    case "STDERR":
      process.stderr.write(`${rest}\n`);
      return null;
    case "SLEEP":
      say(wire, session.id, "sleeping");
      if (!session.isCancelled) await new Promise<void>((resolve) => (session.cancelled = resolve));
      return "cancelled";
    case "CALL": {
      const code = await wire.request(rest, { sessionId: session.id }).then(
        () => 0,
        (error: RpcError) => error.code,
      );
      say(wire, session.id, `${rest} was answered with ${code}`);
      return null;
    }
    case "FAIL":
      throw new RpcError(-32_603, "Internal error", { details: `400 ${rest}` });
    case "LIMIT":
      throw new RpcError(-32_603, `429 Too Many Requests: ${rest}`);
    case "EXPIRED":
      throw new RpcError(-32_000, "Authentication required");
    case "ERRORTEXT":
      say(wire, session.id, `Ran into this error: ${rest}.\n\nPlease retry if you think this is a transient or recoverable error.`);
      return null;
    case "EMPTY":
      return null;
    case "REFUSE":
      return "refusal";
    case "CUT":
      return "max_tokens";
    case "GIVEUP":
      return "cancelled";
    case "DIE":
      process.stderr.write("the reason of its death\n");
      process.exit(Number(rest) || 1);
  }
  return null;
}

/** Like real ones: the input comes with an update, the title changes, and something comes after the end. */
async function write(session: Session, wire: Wire, file: string, content: string, asks: boolean): Promise<string | null> {
  const toolCallId = `call-${counter++}`;
  const rawInput = { path: file, content };
  update(wire, session.id, { sessionUpdate: "tool_call", toolCallId, title: "write", kind: "edit", status: "pending", rawInput: {} });
  update(wire, session.id, { sessionUpdate: "tool_call_update", toolCallId, title: `write ${file}`, rawInput, status: "in_progress" });
  if (asks) {
    const answer = await wire.request("session/request_permission", {
      sessionId: session.id,
      toolCall: { toolCallId, title: `write ${file}`, kind: "edit", status: "pending", rawInput },
      options: [
        { optionId: "always", name: "Always", kind: "allow_always" },
        { optionId: "once", name: "Allow", kind: "allow_once" },
        { optionId: "no", name: "Reject", kind: "reject_once" },
      ],
    });
    const { outcome, optionId } = answer.outcome as { outcome: string; optionId?: string };
    if (outcome === "cancelled") return "cancelled";
    say(wire, session.id, `The answer was ${optionId}. `);
    if (optionId === "no") {
      update(wire, session.id, { sessionUpdate: "tool_call_update", toolCallId, status: "failed", content: [] });
      return null;
    }
  }
  mkdirSync(dirname(join(session.cwd, file)), { recursive: true });
  writeFileSync(join(session.cwd, file), content);
  const done = [{ type: "content", content: { type: "text", text: `wrote ${file}` } }];
  update(wire, session.id, { sessionUpdate: "tool_call_update", toolCallId, status: "completed", content: done });
  update(wire, session.id, { sessionUpdate: "tool_call_update", toolCallId, title: "a title that comes too late" });
  say(wire, session.id, `Wrote ${file}.`);
  return null;
}
