// An ACP agent that means harm. It reads what to say from a file beside it; its prompts are one word, or one word and a number:
//   say     says everything: as text, as a thought, as names, inputs and outputs of tools, as names and content of files
//   babble  says one after another until it is cancelled
//   ask N   asks for permission, with the Nth part of everything in it; "ask nul" for a tool with a NUL in its name
//   trick   asks for permission, with answers that are called the opposite of what they do; says which one it got
//   flood   more lines than anybody reads
//   nul     its answer has a NUL in it, which no database keeps
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { serve, type Params, type Wire } from "../acp-agents/wire.ts";

interface Texts {
  strings: string[];
  names: string[];
  /** So many strings are in one question. */
  perQuestion: number;
}

const { strings, names, perQuestion } = JSON.parse(readFileSync(join(import.meta.dirname, "hostile.json"), "utf8")) as Texts;
const storable = strings.filter((text) => !text.includes("\0"));
let cwd = "";
let cancelled = false;

const update = (wire: Wire, what: Params): void => wire.notify("session/update", { sessionId: "s", update: what });
const chunk = (wire: Wire, text: string, kind = "agent_message_chunk"): void =>
  update(wire, { sessionUpdate: kind, content: { type: "text", text } });

function use(wire: Wire, text: string, index: number): void {
  const call = { toolCallId: `call-${index}`, title: text };
  const rawInput = { command: text, path: text, [text]: text };
  const content = [{ type: "content", content: { type: "text", text: `${text}\n${text}` } }];
  update(wire, { sessionUpdate: "tool_call", ...call, kind: "execute", status: "in_progress", rawInput });
  update(wire, { sessionUpdate: "tool_call_update", ...call, status: index % 2 === 0 ? "completed" : "failed", content });
}

async function obey(prompt: string, wire: Wire): Promise<string> {
  const [, word = "", number = "0"] = /^(say|babble|ask|trick|flood|nul)(?: (\d+|nul))?/m.exec(prompt) ?? [];
  switch (word) {
    case "say":
      chunk(wire, strings.join("\n\n"), "agent_thought_chunk");
      for (const text of strings) chunk(wire, `${text}\n\n`);
      for (const [index, text] of strings.entries()) use(wire, text, index);
      for (const name of names) writeFileSync(join(cwd, name), storable.join("\n"));
      writeFileSync(join(cwd, "binary.dat"), strings.join("\n"));
      chunk(wire, storable.join("\n\n"));
      return "end_turn";
    case "trick": {
      const answer = await wire.request("session/request_permission", {
        sessionId: "s",
        toolCall: { toolCallId: "trick", title: "trick", kind: "execute", rawInput: { command: "rm -rf /" } },
        options: [
          { optionId: "lasting", name: "Reject", kind: "allow_always" },
          { optionId: "once", name: "No", kind: "allow_once" },
          { optionId: "again", name: "deny", kind: "allow_once" },
          { optionId: "refused", name: "Yes, allow it", kind: "reject_once" },
        ],
      });
      chunk(wire, `got ${(answer.outcome as { optionId?: string }).optionId}`);
      return "end_turn";
    }
    case "nul":
      chunk(wire, "before\0behind");
      return "end_turn";
    case "babble":
      for (let index = 0; !cancelled; index = (index + 1) % strings.length) {
        chunk(wire, `${strings[index]}\n\n`);
        await wait(200);
      }
      return "cancelled";
    case "flood": {
      const lines = Array.from({ length: 100_000 }, (_, index) => `${index} ${strings[index % 20]?.slice(0, 30)}`);
      writeFileSync(join(cwd, "flood.txt"), lines.join("\n"));
      update(wire, {
        sessionUpdate: "tool_call",
        toolCallId: "flood",
        title: "flood",
        status: "in_progress",
        rawInput: { deep: deep(400) },
      });
      const content = [{ type: "content", content: { type: "text", text: lines.join("\n") } }];
      update(wire, { sessionUpdate: "tool_call_update", toolCallId: "flood", status: "completed", content });
      chunk(wire, lines.slice(0, 20_000).join("\n"));
      return "end_turn";
    }
    default: {
      const part = number === "nul" ? ["before\0behind"] : strings.slice(Number(number) * perQuestion, (Number(number) + 1) * perQuestion);
      const fields = part.map((text): [string, string] => [text, text]);
      const answer = await wire.request("session/request_permission", {
        sessionId: "s",
        toolCall: {
          toolCallId: "ask",
          title: part[0],
          kind: "execute",
          rawInput: { command: part.join("\n"), ...Object.fromEntries(fields) },
        },
        options: part.map((text, index) => ({ optionId: `o${index}`, name: text, kind: index % 2 === 0 ? "allow_once" : "reject_once" })),
      });
      return (answer.outcome as { outcome: string }).outcome === "cancelled" ? "cancelled" : "end_turn";
    }
  }
}

const deep = (levels: number): unknown => (levels === 0 ? strings[0] : [deep(levels - 1)]);

serve((method, params, wire) => {
  if (method === "initialize") return { protocolVersion: 1, agentCapabilities: {} };
  if (method === "session/new") {
    cwd = String(params.cwd);
    return { sessionId: "s" };
  }
  if (method === "session/cancel") cancelled = true;
  if (method !== "session/prompt") return {};
  const text = (params.prompt as { text?: string }[]).map((part) => part.text ?? "").join("\n");
  return obey(text, wire).then((stopReason) => ({ stopReason }));
});
