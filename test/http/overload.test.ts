/** Who is turned away when there is too much to do, and that it costs little. */

import { expect, onTestFinished, test } from "vitest";
import { Admission, defaultAdmissionLimits } from "../../src/http/admission.ts";
import { endpoints, pathsOf } from "../../src/http/endpoints.ts";
import { loadClassOf } from "../../src/http/load-class.ts";
import { loadClasses, type LoadClass } from "../../src/http/policy.ts";
import { nextLevel, Pressure, pressureMax } from "../../src/http/pressure.ts";
import { renewAfterMs } from "../../src/http/render.ts";
import { seededRandom } from "../support/random.ts";
import type { HttpServerOptions } from "../../src/http/http-server.ts";
import { dial, statusesIn } from "./dial.ts";
import { open, serve, until, type Reply, type Served } from "./harness.ts";

test("the class that is found from the first line is the one that the endpoint's policy names", () => {
  for (const endpoint of endpoints) {
    for (const template of pathsOf(endpoint)) {
      const path = template.replaceAll(/\{\w+\}/g, "renew");
      const found = [path, `${path}?limit=1`].map((target) => loadClassOf(endpoint.method, target));
      expect([endpoint.id, ...found]).toEqual([endpoint.id, endpoint.policy.load, endpoint.policy.load]);
    }
  }
});

test.each([
  ["HEAD", "/v1/services/web/instances", "read"],
  ["GET", "/v1/services/web/instances?afterRevision=4&waitMs=1000", "list"],
  ["GET", "/v1/services/web/instances/", "list"],
  ["GET", "/nothing", "list"],
  ["PROPFIND", "/v1/services", "list"],
  ["GET", "*", "list"],
  ["DELETE", "/v1/namespaces/n/services/web/instances/a?incarnation=4", "vital"],
] as const)("%s %s is of class %s", (method, target, expected) => {
  expect(loadClassOf(method, target)).toBe(expected);
});

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a few are served under any pressure: it is not they who make it", async () => {
  const admission = new Admission({ requestsMax: 10, reserved: 1, servedAnyway: 2 }, seededRandom(1));
  const first = admission.enter("list", pressureMax);
  const second = admission.enter("registration", pressureMax);
  expect([first, second]).not.toContain(null);
  expect(admission.enter("read", pressureMax)).toBeNull();
  second?.();
  await nextTurn();
  expect(admission.enter("read", pressureMax)).not.toBeNull();
});

test("those who were served in the same turn of the loop count as under way: reads are over before the next one is read", async () => {
  const admission = new Admission({ requestsMax: 10, reserved: 1, servedAnyway: 2 }, seededRandom(1));
  const pass = (): boolean => {
    const leave = admission.enter("read", pressureMax);
    leave?.();
    return leave !== null;
  };
  expect([pass(), pass(), pass()]).toEqual([true, true, false]);
  expect([admission.underWay, admission.takePeak(), admission.takePeak()]).toEqual([0, 2, 0]);
  await nextTurn();
  expect(pass()).toBe(true);
});

test("under pressure lists go first, then reads, then registrations; what is vital never", () => {
  // Places are taken until they are given back, so each request of this test leaves at once.
  const admission = new Admission({ requestsMax: 10, reserved: 1, servedAnyway: 0 }, seededRandom(1));
  const share = (loadClass: LoadClass, pressure: number): number => {
    let entered = 0;
    for (let i = 0; i < 1_000; i += 1) {
      const leave = admission.enter(loadClass, pressure);
      if (leave !== null) entered += 1;
      leave?.();
    }
    return Math.round(entered / 50) / 20;
  };
  const table = [0, 0.5, 1, 1.5, 2, 2.5, pressureMax].map((pressure) => [
    pressure,
    ...loadClasses.map((one) => share(one, pressure)),
  ]);
  expect(table).toEqual([
    [0, 1, 1, 1, 1],
    [0.5, 1, 1, 1, 1],
    [1, 1, 1, 1, 0.5],
    [1.5, 1, 1, 0.75, 0],
    [2, 1, 0.65, 0.5, 0],
    [2.5, 1, 0.3, 0.25, 0],
    [pressureMax, 1, 0, 0, 0],
  ]);
});

test("pressure rises while a measure is over its target, falls while all are below, and stays within its bounds", () => {
  const run = (level: number, excess: number, seconds: number): number => {
    let at = level;
    for (let passed = 0; passed < seconds; passed += 0.01) at = nextLevel(at, excess, 0.01);
    return at;
  };
  expect(run(0, 2, 2)).toBe(pressureMax);
  expect(run(0, 0, 10)).toBe(0);
  expect(run(1.5, 0, 10)).toBe(1.5);
  // Back to normal within five seconds, from wherever it was.
  expect(run(pressureMax, -1, 5)).toBe(0);
  expect(run(0, -1, 5)).toBe(0);
  // One long stall moves it as far as a quarter of a second would, no further.
  expect(nextLevel(0, 50, 20)).toBe(nextLevel(0, 8, 0.25));
});

test("pressure rises also while requests come so fast that no timer runs", () => {
  const pressure = new Pressure({ loopDelayMs: 1_000, underWay: 1 }, () => 100);
  for (const endMs = performance.now() + 5_000; pressure.level === 0 && performance.now() < endMs;)
    pressure.look();
  expect(pressure.level).toBeGreaterThan(0);
  pressure.stop();
});

/** Holds one write, which alone is over the target of `turningAway`: everybody else who may be is turned away. Gives how to let go of it. */
async function pressUp({ member, register, get }: Served): Promise<() => Promise<Reply>> {
  member.held = [];
  const held = register("held");
  const top = `rollcall_http_pressure{member="n1"} ${pressureMax}`;
  for (let text = ""; !text.includes(top);) ({ text } = await get("/metrics"));
  return () => {
    member.release();
    return held;
  };
}

const onlyUnderWay = { pressureLimits: { loopDelayMs: Number.POSITIVE_INFINITY, underWay: 10 } };

/** The same request on so many connections, none of which is answered yet. */
async function askOnMany(port: number, asked: string): Promise<void> {
  for (let i = 0; i < 40; i += 1) {
    const { socket } = await dial(port);
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    socket.write(asked);
  }
}

test("writes that wait for a leader turn no read away: it needs none", async () => {
  const { member, port, get } = await serve(onlyUnderWay);
  member.held = [];
  await askOnMany(port, registration('{"host":"h","port":1}'));
  const statusOfRead = async (): Promise<number> => (await get("/v1/services/web/instances")).status;
  await until(async () => (await statusOfRead()) === 503);
  member.leaderId = null;
  await until(async () => (await get("/metrics")).text.includes('rollcall_http_pressure{member="n1"} 0\n'));
  expect(await statusOfRead()).toBe(200);
  expect(member.held.length).toBeGreaterThan(10);
});

test("reads that wait for a revision turn nobody away, and have places of their own", async () => {
  const asked = "GET /v1/services/web/instances?minRevision=9&waitMs=60000 HTTP/1.1\r\nHost: x\r\n\r\n";
  const { port, get } = await serve({ ...onlyUnderWay, watchLimits: { streamsMax: 40 } });
  await askOnMany(port, asked);
  await until(async () => (await get("/v1/services/web/instances?minRevision=9&waitMs=0")).status === 503);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const { text } = await get("/metrics");
  expect(text).toContain('rollcall_http_pressure{member="n1"} 0\n');
  expect((await get("/v1/services/web/instances?minRevision=0")).status).toBe(200);
});

const turningAway: Partial<HttpServerOptions> = {
  admissionLimits: { ...defaultAdmissionLimits, servedAnyway: 0 },
  pressureLimits: { loopDelayMs: 1_000, underWay: 0.1 },
};

test("who is turned away learns it at once, in the form of every problem, and its body is not waited for", async () => {
  const served = await serve(turningAway);
  const { get, port, ask, register } = served;
  const read = async (): ReturnType<typeof get> => get("/v1/services/web/instances");
  const letGo = await pressUp(served);
  const { status, json, headers } = await register("a");
  expect([status, json.code, json.outcome, json.retryable]).toEqual([503, "overloaded", "not_applied", true]);
  expect(Number(headers["retry-after"])).toBeGreaterThanOrEqual(1);
  expect(json.requestId).toBe(headers["rollcall-request-id"]);
  expect(headers).toMatchObject({ "rollcall-member": "n1", "rollcall-term": "3" });
  expect((await read()).json.outcome).toBe("none");
  const unfinished = await open({
    port,
    method: "PUT",
    path: "/v1/services/web/instances/b",
    headers: { "Content-Type": "application/json", "Content-Length": "1000", Connection: "close" },
  }).catch((error: unknown) => error);
  expect(unfinished).toMatchObject({ statusCode: 503 });
  expect((await letGo()).status).toBe(201);
  // Renewals, deregistrations and probes get through.
  expect((await ask("POST", "/v1/services/web/instances/zzz/renew")).json.code).toBe("not_registered");
  expect((await ask("DELETE", "/v1/services/web/instances/zzz")).json.code).toBe("not_registered");
  expect((await get("/readyz")).status).toBe(200);
  const { text } = await get("/metrics");
  expect(text).toMatch(/rollcall_http_rejected_total\{class="registration",member="n1"\} [1-9]/);
});

test("under load renewals are asked for less often, and never so late that a second try would not fit into the TTL", () => {
  const pace = (load: number, random: number): number =>
    renewAfterMs(30_000, { random: () => random, load: () => load });
  expect([pace(0, 0), pace(0, 1), pace(0.5, 0), pace(1, 0), pace(1, 1)]).toEqual([
    10_000, 8_000, 12_499, 15_000, 12_000,
  ]);
});

const path = "/v1/services/web/instances/a1";
const read = "GET /v1/services/web/instances HTTP/1.1\r\nHost: x\r\n\r\n";
const probe = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
const registration = (sent: string, length = sent.length): string =>
  `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${sent}`;
const hourMs = 3_600_000;
const longAway = { retryAfterMsMin: hourMs, retryAfterMsMax: hourMs, vitalMs: hourMs };
const shortlyAway = { retryAfterMsMin: 20, retryAfterMsMax: 20, vitalMs: 0 };

/** What was sent before on another connection has been read by now, if it is read at all. */
async function othersAreServed({ get }: Served): Promise<string> {
  for (let i = 0; i < 5; i += 1) expect((await get("/livez")).status).toBe(200);
  const { text } = await get("/metrics");
  return /rollcall_http_connections_unread\S* (\d+)/.exec(text)?.[1] ?? "";
}

test.each([
  ["read", read],
  ["registration", registration('{"host":"h","port":1}')],
  ["registration without the end of its body", registration("{", 1000)],
])("a connection is left unread for as long as its client was told to wait: after a %s", async (_, asked) => {
  const served = await serve({ ...turningAway, backpressureLimits: longAway });
  const letGo = await pressUp(served);
  const { socket, text } = await dial(served.port);
  socket.write(asked);
  await until(() => statusesIn(text()).length === 1);
  await until(async () => (await othersAreServed(served)) === "1");
  socket.write(probe);
  await othersAreServed(served);
  expect(statusesIn(text())).toEqual(["503"]);
  expect(Number(/Retry-After: (\d+)/.exec(text())?.[1]) * 1000).toBe(hourMs);
  socket.destroy();
  await letGo();
});

test("nothing is kept of a connection that ends before its client may ask again", async () => {
  const served = await serve({ ...turningAway, backpressureLimits: longAway });
  const letGo = await pressUp(served);
  const { socket, text } = await dial(served.port);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(read.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  await closed;
  expect(statusesIn(text())).toEqual(["503"]);
  expect(await othersAreServed(served)).toBe("0");
  await letGo();
});

test("afterwards it is read again, and what was sent meanwhile is answered", async () => {
  const served = await serve({ ...turningAway, backpressureLimits: shortlyAway });
  const letGo = await pressUp(served);
  const { socket, text } = await dial(served.port);
  for (let sent = 1; sent <= 20; sent += 1) {
    socket.write(read);
    await until(() => statusesIn(text()).length === sent);
  }
  socket.write(probe);
  await until(() => statusesIn(text()).length === 21);
  expect(statusesIn(text()).at(-1)).toBe("200");
  socket.destroy();
  await letGo();
});

test("a connection that something vital came by is always read, until nothing vital has come for long", async () => {
  for (const [vitalMs, expected] of [
    [hourMs, ["200", "503", "200"]],
    [0, ["200", "503"]],
  ] as const) {
    const served = await serve({ ...turningAway, backpressureLimits: { ...longAway, vitalMs } });
    const letGo = await pressUp(served);
    const { socket, text } = await dial(served.port);
    socket.write(probe);
    await until(() => statusesIn(text()).length === 1);
    socket.write(read);
    await until(() => statusesIn(text()).length === 2);
    await othersAreServed(served);
    socket.write(probe);
    await othersAreServed(served);
    await until(() => statusesIn(text()).length >= expected.length);
    expect(statusesIn(text())).toEqual(expected);
    socket.destroy();
    await letGo();
  }
});

test("a body that nobody wants may be finished, and is cut off when it is not", async () => {
  const timeouts = { bodyMs: 1_000 };
  const served = await serve({ ...turningAway, timeouts, backpressureLimits: shortlyAway });
  const letGo = await pressUp(served);
  const [unfinished, finished] = [await dial(served.port), await dial(served.port)];
  const closed = new Promise((resolve) => unfinished.socket.once("close", resolve));
  for (const { socket } of [unfinished, finished]) socket.write(registration("{", 2));
  await until(() => statusesIn(finished.text()).length === 1);
  finished.socket.write("}");
  await closed;
  finished.socket.write(probe);
  await until(() => statusesIn(finished.text()).length === 2);
  expect(statusesIn(finished.text())).toEqual(["503", "200"]);
  finished.socket.destroy();
  await letGo();
});
