// JSON-RPC over stdin and stdout for scripted agents: written by hand, so that it can also be done wrongly.
import { createInterface } from "node:readline";

export type Params = Record<string, unknown>;

export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export interface Wire {
  notify(method: string, params: Params): void;
  /** Rejects with the other side's error. */
  request(method: string, params: Params): Promise<Params>;
}

export const send = (message: object): void => void process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);

/** Serves until stdin ends. A handler's result is its answer; what it throws is an error. Notifications are handled too. */
export function serve(handle: (method: string, params: Params, wire: Wire) => unknown): void {
  const asked = new Map<unknown, { resolve: (value: Params) => void; reject: (error: Error) => void }>();
  let next = 1000;
  const wire: Wire = {
    notify: (method, params) => send({ method, params }),
    request(method, params) {
      const id = next++;
      send({ id, method, params });
      return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
    },
  };
  createInterface({ input: process.stdin }).on("line", (line) => {
    const { id, method, params, result, error } = JSON.parse(line) as {
      id?: unknown;
      method?: string;
      params?: Params;
      result?: Params;
      error?: RpcError;
    };
    if (method === undefined) {
      const waiting = asked.get(id);
      asked.delete(id);
      if (error) waiting?.reject(new RpcError(error.code, error.message));
      else waiting?.resolve(result ?? {});
      return;
    }
    Promise.resolve()
      .then(() => handle(method, params ?? {}, wire))
      .then((value) => id !== undefined && send({ id, result: value ?? {} }))
      .catch((thrown: unknown) => {
        const { code, message, data } = thrown as Partial<RpcError>;
        if (id !== undefined) send({ id, error: { code: code ?? -32_603, message, data } });
      });
  });
}
