// The network that ./scripts/torture cuts: it has to cut what it says, and nothing else.

import { once } from "node:events";
import { Agent, createServer, request, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Links } from "../../scripts/lib/torture/links.ts";
import { freePorts } from "../support/free-ports.ts";
import { waitFor } from "../support/wait-for.ts";

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A server that stands for n2, a relay before it, and whoever asks through that. */
async function scene() {
  const heard: string[] = [];
  const server = createServer((incoming, response) => {
    heard.push(incoming.url ?? "");
    response.end("answered");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const [port = 0] = await freePorts(1);
  const links = new Links();
  await links.add({ id: "n2", port, targetPort: (server.address() as AddressInfo).port });
  cleanUps.push(
    () => links.close(),
    () => new Promise((resolve) => server.close(resolve)),
  );
  const ask = (path: string, from: string): Promise<string> =>
    new Promise((resolve) => {
      const agent = new Agent();
      const headers = { "Rollcall-From": from };
      const asked = request({ host: "127.0.0.1", port, path, agent, headers });
      asked.on("response", (answer: IncomingMessage) => {
        answer.resume();
        answer.on("end", () => {
          agent.destroy();
          resolve("answered");
        });
      });
      asked.on("error", () => resolve("broken"));
      asked.end();
    });
  return { links, port, heard, ask };
}

test("a link that is whole carries what it is given", async () => {
  const { heard, ask } = await scene();
  expect(await ask("/1", "n1")).toBe("answered");
  expect(heard).toEqual(["/1"]);
});

test("what is sent over a link that is cut arrives when it is healed", async () => {
  const { links, heard, ask } = await scene();
  links.cut("n1", "n2");
  const held = ask("/held", "n1");
  expect(await ask("/other", "n3"), "from somebody else").toBe("answered");
  expect(heard).toEqual(["/other"]);
  links.heal("arrives");
  expect(await held).toBe("answered");
  expect(heard).toEqual(["/other", "/held"]);
});

test("a link that is cut one way lets the question through and holds the answer", async () => {
  const { links, heard, ask } = await scene();
  links.cut("n2", "n1");
  let end = "none yet";
  const asked = ask("/1", "n1").then((how) => (end = how));
  await waitFor(() => heard.length === 1, { what: "the question arrives" });
  expect(await ask("/2", "n3")).toBe("answered");
  expect(end).toBe("none yet");
  links.heal("arrives");
  await asked;
  expect(end).toBe("answered");
});

test("a connection over which something was held may break instead", async () => {
  const { links, heard, ask } = await scene();
  links.cut("n1", "n2");
  const held = ask("/held", "n1");
  // Whatever n3 asks is accepted later than what n1 asked.
  expect(await ask("/other", "n3")).toBe("answered");
  links.heal("is lost");
  expect(await held).toBe("broken");
  expect(heard).toEqual(["/other"]);
});

test("a link that is slow still carries everything", async () => {
  const { links, ask } = await scene();
  links.slow(() => 5);
  expect(await Promise.all([ask("/1", "n1"), ask("/2", "n3")])).toEqual(["answered", "answered"]);
});

test("who dials and goes without a word keeps nothing open", async () => {
  const { links, port } = await scene();
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end();
  await once(socket, "close");
  await expect(links.close()).resolves.toBeUndefined();
});

test("who does not say its name in a head is not let through", async () => {
  const { heard, ask } = await scene();
  expect(await ask("/1", "")).toBe("broken");
  expect(heard).toEqual([]);
});
