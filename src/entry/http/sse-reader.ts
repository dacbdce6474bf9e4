export interface ServerSentEvent {
  /** null when the event did not carry one. */
  id: string | null;
  event: string;
  data: string;
}

/** Reads `text/event-stream` bytes; comments (heartbeats) are skipped, an unfinished last event is dropped. */
export async function* readServerSentEvents(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  let event: ServerSentEvent = { id: null, event: "message", data: "" };
  let hasData = false;
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (hasData) yield event;
        event = { id: null, event: "message", data: "" };
        hasData = false;
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
      if (field === "id") event.id = value;
      else if (field === "event") event.event = value;
      else if (field === "data") {
        event.data = hasData ? `${event.data}\n${value}` : value;
        hasData = true;
      }
    }
  }
}
