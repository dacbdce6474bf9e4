import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { startFaultProxy, type FaultProxy } from "./fault-proxy.ts";
import { until } from "./processes.ts";

let echo: Server;
let echoPort: number;
let proxy: FaultProxy;
const accepted = new Set<Socket>();

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.add(socket);
    socket.on("error", () => undefined).pipe(socket);
  });
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  echoPort = (echo.address() as AddressInfo).port;
  proxy = await startFaultProxy({ to: { host: "127.0.0.1", port: echoPort } });
});

afterEach(async () => {
  await proxy.close();
  for (const socket of accepted) socket.destroy();
  accepted.clear();
  echo.close();
});

interface Client {
  socket: Socket;
  received(): string;
  error(): string | null;
}

async function open(port = proxy.port): Promise<Client> {
  const socket = connect(port, proxy.host);
  let text = "";
  let error: string | null = null;
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.on("error", (failure: NodeJS.ErrnoException) => (error = failure.code ?? failure.message));
  await new Promise<void>((resolve) => socket.once("connect", resolve).once("close", () => resolve()));
  return { socket, received: () => text, error: () => error };
}

test("without a fault everything passes, whole and in order, and an end is an end", async () => {
  const { socket, received } = await open();
  const text = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join("");
  socket.end(text);
  await once(socket, "close");
  assert.equal(received(), text);
  await until("the pair is gone", () => proxy.connections() === 0);
});

test("cut resets what is open, and lets new connections in", async () => {
  const first = await open();
  first.socket.write("a");
  await until("the echo is back", () => first.received() === "a");
  assert.equal(proxy.cut(), 1);
  await until("the reset is seen", () => first.error() === "ECONNRESET");
  const second = await open();
  second.socket.write("b");
  await until("the echo is back", () => second.received() === "b");
  second.socket.destroy();
});

test("pause holds everything back without closing, and resume lets it go on", async () => {
  const { socket, received, error } = await open();
  proxy.pause();
  socket.write("held");
  const late = await open();
  late.socket.write("held too");
  await until("both are accepted", () => proxy.connections() === 2);
  // What goes past the proxy comes back meanwhile.
  const direct = await open(echoPort);
  direct.socket.write("direct");
  await until("the direct echo is back", () => direct.received() === "direct");
  direct.socket.destroy();
  assert.equal(received() + late.received(), "");
  proxy.resume();
  await until("all is back", () => received() === "held" && late.received() === "held too");
  assert.equal(error(), null);
  socket.destroy();
  late.socket.destroy();
});

test("delay makes each direction later by so much, and everything stays in order", async () => {
  const { socket, received } = await open();
  proxy.delay(60);
  const began = performance.now();
  socket.write("first ");
  socket.write("second");
  await until("all is back", () => received().length >= 12);
  assert.equal(received(), "first second");
  assert.ok(performance.now() - began >= 115, `took ${performance.now() - began} ms`);
  proxy.delay(0);
  socket.destroy();
});

test("a black hole one way: what the client says arrives, and it hears nothing until it is over", async () => {
  const { socket, received } = await open();
  const bytesBefore = proxy.passed();
  proxy.pause("to client");
  socket.write("heard");
  await until("the server has it", () => proxy.passed() === bytesBefore + 5);
  assert.equal(received(), "");
  proxy.resume();
  await until("the echo is back", () => received() === "heard");
  proxy.pause("to server");
  socket.write("unheard");
  const direct = await open(echoPort);
  direct.socket.write("direct");
  await until("the direct echo is back", () => direct.received() === "direct");
  assert.equal(proxy.passed(), bytesBefore + 10);
  direct.socket.destroy();
  socket.destroy();
});

test("jitter delays by more or less, and everything stays in order", async () => {
  const { socket, received } = await open();
  proxy.delay(0, 30);
  const words = Array.from({ length: 40 }, (_, index) => `${index} `);
  for (const word of words) {
    socket.write(word);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until("all is back", () => received().length === words.join("").length);
  assert.equal(received(), words.join(""));
  proxy.delay(0);
  socket.destroy();
});

test("cutAfter passes the words on, and resets before they are answered, once", async () => {
  const heard: string[] = [];
  echo.on("connection", (socket) => socket.on("data", (chunk: Buffer) => heard.push(chunk.toString())));
  const { socket, received, error } = await open();
  proxy.cutAfter("commit");
  socket.write("begin");
  await until("the echo is back", () => received() === "begin");
  socket.write("commit");
  await until("the reset is seen", () => error() === "ECONNRESET");
  await until("the server has it", () => heard.join("") === "begincommit");
  assert.equal(received(), "begin");
  assert.equal(proxy.cutAfterWords(), 1);
  const again = await open();
  again.socket.write("commit");
  await until("the echo is back", () => again.received() === "commit");
  again.socket.destroy();
});

test("refuse lets nobody in, keeps who is in, and accept takes the same port again", async () => {
  const inside = await open();
  await proxy.refuse();
  const outside = await open();
  assert.equal(outside.error(), "ECONNREFUSED");
  inside.socket.write("still here");
  await until("the echo is back", () => inside.received() === "still here");
  await proxy.accept();
  const again = await open();
  assert.equal(again.error(), null);
  again.socket.destroy();
  inside.socket.destroy();
});

test("limit resets a connection after so many bytes, both ways together", async () => {
  proxy.limit(6);
  const { socket, received, error } = await open();
  socket.write("1234");
  await until("the reset is seen", () => error() !== null || socket.destroyed);
  assert.ok(received().length <= 2, received());
  proxy.limit(null);
  const free = await open();
  free.socket.write("1234567890");
  await until("all is back", () => free.received() === "1234567890");
  free.socket.destroy();
});

test("it serves nothing but loopback", async () => {
  await assert.rejects(startFaultProxy({ to: { host: "192.0.2.1", port: 80 } }), /loopback only/);
});
