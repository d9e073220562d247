// What one connection asks, in which order, and whether anybody still waits for it.

import { expect, test } from "vitest";
import { dial, statusesIn } from "./dial.ts";
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

/** As a stopped process does: nothing of the loop runs, and what arrives waits in the sockets. */
function standStill(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
