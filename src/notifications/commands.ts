import { z } from "zod";
import { cursorOf, positionOf } from "../cursor.ts";
import type { NewEvent } from "../db/plan.ts";
import { conflict, invalidInput, notFound } from "../errors.ts";
import { command, listOf, Page, page, query, type Context } from "../registry.ts";
import { messageOf, send } from "./deliver.ts";
import { changed, Channel, Delivery, NewChannel, ntfyAddress, type Notice } from "./notification.ts";
import { makeOutbound, readUrl } from "./outbound.ts";
import { removeSecret, writeSecret } from "./secrets.ts";
import { newSecret, readSecret } from "./sign.ts";
import {
  countChannels,
  deleteChannel,
  endDeliveries,
  findChannel,
  insertChannel,
  listChannels,
  listDeliveries,
  startFromNow,
  toChannel,
  toDelivery,
  updateChannel,
  type ChannelRow,
} from "./store.ts";

const maxChannels = 50;
/** Where the services say nothing else. */
const onlyPublic = makeOutbound({ allow: [] });

export const setChannel = command({
  name: "channel.set",
  help: "Add a channel for notifications (webhook or ntfy) or change it. It hears of what happens from now on.",
  input: NewChannel,
  output: Channel.extend({
    /** What the server made, shown this once; null when the secret was given or kept. */
    secret: z.string().nullable(),
  }),
  access: "person",
  scope: "admin",
  secret: true,
  cli: { verb: "channels set", args: ["name"] },
  async decide(input, { read, home, outbound = onlyPublic, now }) {
    const old = await findChannel(read, input.name);
    const wanted = changed(old && toChannel(old), input);
    const { kind, url } = wanted;
    if (kind === null || url === null) {
      throw invalidInput(`a new channel needs kind and url`, `there is no channel "${input.name}" yet`, [
        `tutti channel set ${input.name} --kind ntfy --url https://ntfy.sh/<topic>`,
      ]);
    }
    checkAddress(kind, url);
    // What is only switched off needs no network.
    if (input.url !== undefined || (wanted.enabled && old?.enabled !== 1)) await outbound.check(url);
    if (!old && (await countChannels(read)) >= maxChannels) {
      throw conflict(`there are ${maxChannels} channels already`, "each is told of everything by itself", ["tutti channel remove <name>"]);
    }
    const { keyName, made } = await keepSecret(home, { kind, url, given: input.secret, old });
    const row: ChannelRow = {
      name: input.name,
      kind,
      url,
      key_name: keyName,
      topics: JSON.stringify(wanted.topics),
      enabled: wanted.enabled ? 1 : 0,
      message: wanted.enabled ? null : (old?.message ?? null),
      created_at: old?.created_at ?? now,
    };
    const statements = [old ? updateChannel(row, old) : insertChannel(row)];
    if (row.enabled === 0) statements.push(...endDeliveries(row.name, "the channel was disabled"));
    else if (old?.enabled !== 1 || old.topics !== row.topics) statements.push(...startFromNow(row.name));
    return { plan: { statements, events: [updated(row)] }, result: { ...toChannel(row), secret: made } };
  },
});

function checkAddress(kind: Channel["kind"], text: string): void {
  const url = readUrl(text);
  if (kind === "ntfy" && !ntfyAddress(url)) {
    throw invalidInput("url must end in ntfy's topic", "letters, digits, - and _, at most 64 of them, and no query", [
      "https://ntfy.sh/<topic>",
    ]);
  }
}

/**
 * The file of the channel's secret. It is on disk before the row that names it, under a name of its own: who is overtaken leaves a
 * file that nobody names. Throws AppError invalid_input for a secret that does not fit its kind or would go to another server.
 */
async function keepSecret(
  home: string,
  { kind, url, given, old }: { kind: Channel["kind"]; url: string; given: string | null | undefined; old: ChannelRow | null },
): Promise<{ keyName: string | null; made: string | null }> {
  if (given === undefined && old?.kind === kind && isSameServer(old.url, url)) return { keyName: old.key_name, made: null };
  if (kind === "webhook") {
    if (typeof given === "string") readSecret(given);
    const secret = given ?? newSecret();
    return { keyName: await writeSecret(home, secret), made: typeof given === "string" ? null : secret };
  }
  if (given === undefined && old?.kind === kind && old.key_name !== null) {
    throw invalidInput("the channel gets another server, and its token was given for the old one", "a token goes to no other server", [
      "give the token of the new server, or null when it wants none",
    ]);
  }
  return { keyName: typeof given === "string" ? await writeSecret(home, given) : null, made: null };
}

const isSameServer = (a: string, b: string): boolean => new URL(a).origin === new URL(b).origin;

/** Without its path, which may be as good as a password. */
const updated = ({ name, kind, url, topics, enabled }: ChannelRow): NewEvent => ({
  stream: "instance",
  type: "channel.updated",
  data: { name, kind, server: new URL(url).origin, topics: JSON.parse(topics) as unknown, enabled: enabled === 1 },
});

const ByName = z.strictObject({ name: z.string().min(1).max(100) });

async function getChannel({ read }: Context, name: string): Promise<ChannelRow> {
  const channel = await findChannel(read, name);
  if (!channel) throw notFound("channel", name, ["tutti channel list"]);
  return channel;
}

export const removeChannel = command({
  name: "channel.remove",
  help: "Remove a channel and its secret. What was not sent yet is not sent.",
  input: ByName,
  output: z.object({ name: z.string() }),
  access: "person",
  scope: "admin",
  cli: { verb: "channels remove", args: ["name"] },
  mcp: { tool: "remove_channel", group: "notifications" },
  async decide({ name }, context) {
    const channel = await getChannel(context, name);
    // The secret goes first: when the commit fails, a channel without its secret is left, and no secret without its channel.
    if (channel.key_name !== null) await removeSecret(context.home, channel.key_name);
    return {
      plan: {
        statements: [deleteChannel(name), ...endDeliveries(name, "the channel was removed")],
        events: [{ stream: "instance", type: "channel.removed", data: { name } }],
      },
      result: { name },
    };
  },
});

export const testChannel = command({
  name: "channel.test",
  help: "Send one notification that is marked as a test, also when the channel is disabled, and answer what the receiver said.",
  input: ByName,
  output: z.object({
    name: z.string(),
    sent: z.boolean(),
    /** The HTTP status; null when there was no answer. */
    status: z.int().nullable(),
    message: z.string(),
  }),
  access: "person",
  scope: "admin",
  cli: { verb: "channels test", args: ["name"] },
  mcp: { tool: "test_channel", group: "notifications" },
  async decide({ name }, context) {
    const channel = await getChannel(context, name);
    // It sends while it decides: should it decide again, there is one test more, which harms nobody.
    const { home, clock, outbound = onlyPublic } = context;
    const letter = { id: `ntf_${crypto.randomUUID()}`, notice: testNotice(context.now), test: true };
    const answer = await send(channel, letter, { home, outbound, now: clock.now });
    const status = answer.kind === "answered" ? answer.status : null;
    const sent = status !== null && status >= 200 && status < 300;
    return { plan: { statements: [], events: [] }, result: { name, sent, status, message: messageOf(answer) } };
  },
});

const testNotice = (at: number): Notice => ({
  topic: "needs you",
  reason: null,
  project: null,
  projectName: null,
  task: null,
  run: null,
  title: "Tutti: a test",
  text: "This is what a notification looks like. Nothing needs you.",
  path: "/inbox",
  at,
});

export const listChannelsQuery = query({
  name: "channel.list",
  help: "Where notifications go. Secrets are not shown.",
  path: "/channels",
  input: z.strictObject({ ...Page.shape }),
  output: listOf(Channel),
  access: "person",
  // An address may be as good as a password.
  scope: "admin",
  cli: { verb: "channels", columns: ["name", "kind", "enabled", "topics", "url", "message"] },
  mcp: { tool: "list_channels", group: "notifications" },
  async run({ limit, cursor }, { read }) {
    const { items, next } = page(await listChannels(read, { after: cursor ?? "", limit: limit + 1 }), limit, ({ name }) => name);
    return { items: items.map(toChannel), next };
  },
});

export const listDeliveriesQuery = query({
  name: "delivery.list",
  help: "Notifications with what came of them, the newest first. Those that are over are kept for 30 days.",
  path: "/deliveries",
  input: z.strictObject({ ...Page.shape, channel: z.string().max(100).optional(), state: Delivery.shape.state.optional() }),
  output: listOf(Delivery),
  access: "person",
  cli: { verb: "deliveries", columns: ["createdAt", "channel", "state", "attempts", "title", "message"] },
  mcp: { tool: "list_deliveries", group: "notifications" },
  async run({ limit, cursor, ...filter }, { read }) {
    const rows = await listDeliveries(read, { ...filter, before: positionOf(cursor), limit: limit + 1 });
    const { items, next } = page(rows, limit, ({ created_at: at, id }) => cursorOf(at, id));
    return { items: items.map(toDelivery), next };
  },
});
