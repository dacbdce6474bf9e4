// Agents as they should not be. Each begins properly, except where its fault is in the beginning.
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { send, serve, type Params, type Wire } from "./wire.ts";

const say = (wire: Wire, text: string): void =>
  wire.notify("session/update", { sessionId: "s", update: { sessionUpdate: "agent_message_chunk", content: { type: "text", text } } });

const forever = (): Promise<never> => new Promise(() => setInterval(() => undefined, 60_000));
const noAnswer = (): Promise<never> => new Promise(() => undefined);

type Fault = (params: Params, wire: Wire) => unknown;

/** What each does when it is given a prompt. */
const inTurn: Record<string, Fault> = {
  /** Something that is no message, in the middle of a turn. */
  garbage(_params, wire) {
    say(wire, "so far so good");
    process.stdout.write("Loading plugins... done\n");
    return forever();
  },
  dies(_params, wire) {
    say(wire, "so far so good");
    process.stderr.write("panic: out of luck\n");
    process.exitCode = 3;
    process.stdin.destroy();
    return noAnswer();
  },
  killed() {
    process.kill(process.pid, "SIGKILL");
    return noAnswer();
  },
  /** Ends in the middle of a line. */
  half() {
    process.stdout.write('{"jsonrpc":"2.0","method":"session/upd', () => process.exit(0));
    return noAnswer();
  },
  mute: () => forever(),
  /** Closes its output and lives on. */
  deaf() {
    closeSync(1);
    return forever();
  },
  /** Ignores cancel and polite signals, and so does a child in a session of its own. */
  stubborn(_params, wire) {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => undefined);
    spawn("sh", ["-c", 'trap "" TERM HUP INT; while :; do sleep 60; done'], { stdio: "ignore", detached: true });
    say(wire, "nobody stops me");
    return forever();
  },
  huge() {
    process.stdout.write(`{"jsonrpc":"2.0","method":"x","params":"${"x".repeat(3 * 1024 * 1024)}"}\n`);
    return forever();
  },
  /** Nested so deeply that a careless reader falls. */
  deep() {
    process.stdout.write(`{"jsonrpc":"2.0","method":"session/update","params":${"[".repeat(200_000)}${"]".repeat(200_000)}}\n`);
    return { stopReason: "end_turn" };
  },
  /** Valid messages, one byte at a time, with characters of several bytes. */
  async bytes() {
    const message = { sessionId: "s", update: { sessionUpdate: "agent_message_chunk", content: { type: "text", text: "grüße 🎼" } } };
    for (const byte of Buffer.from(`${JSON.stringify({ jsonrpc: "2.0", method: "session/update", params: message })}\r\n\n`)) {
      await new Promise<void>((resolve) => process.stdout.write(Buffer.of(byte), () => setImmediate(resolve)));
    }
    return { stopReason: "end_turn" };
  },
  /** More than any reader takes at once. */
  floods(_params, wire) {
    for (let count = 0; count < 20_000; count++) say(wire, `line ${count}\n`);
    return { stopReason: "end_turn" };
  },
  /** Well-formed nonsense: unknown updates, answers to nothing, wrong shapes. */
  nonsense(_params, wire) {
    wire.notify("session/update", { sessionId: "s", update: { sessionUpdate: "tool_call", toolCallId: 7 } });
    wire.notify("session/update", { sessionId: "s", update: { sessionUpdate: "dance", steps: 3 } });
    wire.notify("_auth/status_update", { ok: true });
    send({ id: 99_999, result: {} });
    send({ something: "else" });
    say(wire, "still here");
    return { stopReason: "end_turn" };
  },
  unknownStop: () => ({ stopReason: "bored" }),
};

/** What each does before there is a session. */
const atStart: Record<string, () => void> = {
  version: () => serve((method) => (method === "initialize" ? { protocolVersion: 9, agentCapabilities: {} } : forever())),
  silent: () => serve(() => forever()),
  usage() {
    process.stderr.write("usage: agent [--help]\n");
    process.exit(2);
  },
  login: () =>
    serve((method) => {
      if (method === "initialize") return { protocolVersion: 1, agentCapabilities: {} };
      throw Object.assign(new Error("Authentication required"), { code: -32_000 });
    }),
};

/** The names of all faults. */
export const faults: readonly string[] = [...Object.keys(inTurn), ...Object.keys(atStart)];

export function beBad(fault: string): void {
  const begin = atStart[fault];
  if (begin) return begin();
  serve((method, params, wire) => {
    if (method === "initialize") return { protocolVersion: 1, agentCapabilities: {} };
    if (method === "session/new") return { sessionId: "s" };
    return method === "session/prompt" ? inTurn[fault]?.(params, wire) : {};
  });
}
