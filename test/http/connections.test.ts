// What one connection asks, in which order, and whether anybody still waits for it.

import { expect, onTestFinished, test } from "vitest";
import { dial, standStill, statusesIn } from "./dial.ts";
import { serve, until } from "./harness.ts";

const body = JSON.stringify({ host: "10.0.0.1", port: 80 });
const path = "/v1/services/web/instances/a1";
const head = (method: string, length = 0): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

test("pipelined requests are carried out in order when one of them changes something", async () => {
  const { member, port, get } = await serve();
  member.held = [];
  const { socket, text } = await dial(port);
  socket.write(`${head("PUT", body.length)}${body}${head("DELETE")}${head("GET")}`);
  await until(() => member.held?.length === 1);
  await get("/v1/services");
  expect(member.held).toHaveLength(1);
  const [put] = member.held;
  member.held = null;
  put!();
  await until(() => statusesIn(text()).length === 3);
  expect(statusesIn(text())).toEqual(["201", "200", "404"]);
  socket.destroy();
});

test("pipelined reads do not wait for each other's member", async () => {
  const { port } = await serve();
  const { socket, text } = await dial(port);
  socket.write(`${head("GET")}${head("GET")}${head("GET")}`);
  await until(() => statusesIn(text()).length === 3);
  expect(statusesIn(text())).toEqual(["404", "404", "404"]);
  socket.destroy();
});

test("what stands behind a write on a connection that breaks does not overtake the write", async () => {
  const { member, port, get } = await serve();
  member.held = [];
  const { socket } = await dial(port);
  socket.write(`${head("PUT", body.length)}${body}${head("DELETE")}`);
  await until(() => member.held?.length === 1);
  socket.destroy();
  for (let text = ""; !text.includes('method="PUT"');) ({ text } = await get("/metrics"));
  await get("/v1/services");
  expect(member.held).toHaveLength(1);
  member.release();
  await get("/v1/services");
  expect(member.submitted.map(({ command }) => command.kind)).toEqual(["register"]);
});

test("what cannot be read behind a write that is under way is refused after it, and not in its place", async () => {
  const { member, port, get } = await serve();
  member.held = [];
  const { socket, text } = await dial(port);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(`${head("PUT", body.length)}${body}{"what": "is this"}\r\n\r\n`);
  await until(() => member.held?.length === 1);
  for (let i = 0; i < 20; i += 1) socket.write("and more of it\r\n");
  await get("/v1/services");
  expect(text()).toBe("");
  member.release();
  await closed;
  expect(statusesIn(text())).toEqual(["201", "400"]);
});

test("nor is the broken body of the next request", async () => {
  const { member, port } = await serve();
  member.held = [];
  const { socket, text } = await dial(port);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const broken = head("PUT").replace("Content-Length: 0", "Transfer-Encoding: chunked");
  socket.write(`${head("PUT", body.length)}${body}${broken}nonsense\r\n`);
  await closed;
  expect(text()).toBe("");
  member.release();
});

test("any number of reads may wait for the write before them, without a warning", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", warned);
  onTestFinished(() => void process.off("warning", warned));
  const { member, port } = await serve();
  member.held = [];
  const { socket, text } = await dial(port);
  socket.write(`${head("PUT", body.length)}${body}${head("GET").repeat(20)}`);
  await until(() => member.held?.length === 1);
  member.release();
  await until(() => statusesIn(text()).length === 21);
  expect(warnings).toEqual([]);
  socket.destroy();
});

test("a write whose client gave up while the process stood still is not carried out", async () => {
  const { member, port, get } = await serve();
  const { socket } = await dial(port);
  socket.end(`${head("PUT", body.length)}${body}`);
  standStill(700);
  const { socket: other, text } = await dial(port);
  other.write(`${head("PUT", body.length)}${body}`);
  await until(() => statusesIn(text()).length === 1);
  await get("/v1/services");
  expect(statusesIn(text())).toEqual(["201"]);
  expect(member.submitted).toHaveLength(1);
  other.destroy();
});
