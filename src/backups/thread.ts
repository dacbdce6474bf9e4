import { Worker } from "node:worker_threads";

/**
 * Runs a file of this folder in a thread of its own, so that the server goes on meanwhile, and answers the one message that it posts.
 * Throws the error that ended it, and the signal's reason when aborted.
 */
export function runThread<Answer>(file: string, data: object, signal?: AbortSignal): Promise<Answer> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(file, import.meta.url), { workerData: data });
    const abort = (): void => void worker.terminate();
    signal?.addEventListener("abort", abort, { once: true });
    let answered = false;
    worker.once("message", (answer: Answer) => {
      answered = true;
      resolve(answer);
    });
    worker.once("error", reject);
    worker.once("exit", () => {
      signal?.removeEventListener("abort", abort);
      if (!answered) reject(signal?.aborted ? signal.reason : new Error(`${file} ended without an answer`));
    });
  });
}
