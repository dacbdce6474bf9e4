import { invalidInput } from "../errors.ts";
import { ntfyAddress, type Channel, type Notice, type Topic } from "./notification.ts";
import { signatureHeaders } from "./sign.ts";

/** A notice as one kind of receiver wants it. Where it goes is not said here but by what was checked: only the path is. */
export interface Outgoing {
  path: string;
  headers: Record<string, string>;
  body: string;
}

interface Letter {
  id: string;
  notice: Notice;
  test: boolean;
  /** Where a click leads. */
  link: string;
  /** The time of the attempt, ms. */
  at: number;
}

/** Pure. Throws AppError invalid_input for a webhook without its secret and an ntfy address without a topic. */
export function compose({ kind, url }: { kind: Channel["kind"]; url: URL }, secret: string | null, letter: Letter): Outgoing {
  switch (kind) {
    case "webhook":
      return webhook(url, secret, letter);
    case "ntfy":
      return ntfy(url, secret, letter);
  }
}

/** The body as Standard Webhooks recommends it: type, timestamp (of what happened), data. */
function webhook(url: URL, secret: string | null, { id, notice, test, link, at }: Letter): Outgoing {
  if (secret === null) throw invalidInput("the secret of this webhook is missing: nothing is sent without a signature");
  const { topic, path: _path, at: happened, ...data } = notice;
  const type = test ? "notification.test" : `notification.${topic.replaceAll(" ", "_")}`;
  const body = JSON.stringify({ type, timestamp: new Date(happened).toISOString(), data: { ...data, topic, url: link, test } });
  return {
    path: url.pathname + url.search,
    headers: { "content-type": "application/json", ...signatureHeaders({ id, at, body }, secret) },
    body,
  };
}

/** 1 is the lowest, 3 the default, 5 the highest. Tags that name an emoji are shown as it. */
const look: Record<Topic, { priority: number; tag: string }> = {
  "needs you": { priority: 4, tag: "raised_hand" },
  failed: { priority: 3, tag: "x" },
  done: { priority: 2, tag: "white_check_mark" },
  quota: { priority: 3, tag: "hourglass" },
};

/** ntfy's "publish as JSON" (docs.ntfy.sh/publish): to the server's root, because a title as a header could only be Latin-1. */
function ntfy(url: URL, secret: string | null, { notice, test, link }: Letter): Outgoing {
  const address = ntfyAddress(url);
  if (!address) throw invalidInput("the address of an ntfy channel ends in its topic", undefined, ["https://ntfy.sh/<topic>"]);
  const { priority, tag } = look[notice.topic];
  const body = JSON.stringify({
    topic: address.topic,
    title: notice.title,
    message: notice.text,
    priority,
    tags: test ? ["test_tube"] : [tag],
    click: link,
  });
  const authorization: Record<string, string> = secret === null ? {} : { authorization: `Bearer ${secret}` };
  return { path: address.path, headers: { "content-type": "application/json", ...authorization }, body };
}
