/** Who is turned away when there is too much to do, and that it costs little. */

import { expect, test } from "vitest";
import { Admission, defaultAdmissionLimits } from "../../src/http/admission.ts";
import { endpoints, pathsOf } from "../../src/http/endpoints.ts";
import { loadClassOf } from "../../src/http/load-class.ts";
import { loadClasses, type LoadClass } from "../../src/http/policy.ts";
import { nextLevel, pressureMax } from "../../src/http/pressure.ts";
import { renewAfterMs } from "../../src/http/render.ts";
import { seededRandom } from "../support/random.ts";
import { open, serve } from "./harness.ts";

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

test("a few are served under any pressure: it is not they who make it", () => {
  const admission = new Admission({ requestsMax: 10, reserved: 1, servedAnyway: 2 }, seededRandom(1));
  const first = admission.enter("list", pressureMax);
  const second = admission.enter("registration", pressureMax);
  expect([first, second]).not.toContain(null);
  expect(admission.enter("read", pressureMax)).toBeNull();
  second?.();
  expect(admission.enter("read", pressureMax)).not.toBeNull();
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

test("who is turned away learns it at once, in the form of every problem, and its body is not waited for", async () => {
  // One request under way is over this target, so while it is held the pressure rises to its top.
  const served = await serve({
    admissionLimits: { ...defaultAdmissionLimits, servedAnyway: 0 },
    pressureLimits: { loopDelayMs: 1_000, underWay: 0.1 },
  });
  const { get, port, ask, register, member } = served;
  const read = async (): ReturnType<typeof get> => get("/v1/services/web/instances");
  member.held = [];
  const held = register("held");
  const top = `rollcall_http_pressure{member="n1"} ${pressureMax}`;
  for (let text = ""; !text.includes(top);) ({ text } = await get("/metrics"));
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
  member.release();
  expect((await held).status).toBe(201);
  // Renewals, deregistrations and probes get through.
  expect((await ask("POST", "/v1/services/web/instances/zzz/renew")).json.code).toBe("not_registered");
  expect((await ask("DELETE", "/v1/services/web/instances/zzz")).json.code).toBe("not_registered");
  expect((await get("/readyz")).status).toBe(200);
  const { text } = await get("/metrics");
  expect(text).toMatch(/rollcall_http_rejected_total\{class="registration",member="n1"\} [1-9]/);
}, 30_000);

test("under load renewals are asked for less often, and never so late that a second try would not fit into the TTL", () => {
  const pace = (load: number, random: number): number =>
    renewAfterMs(30_000, { random: () => random, load: () => load });
  expect([pace(0, 0), pace(0, 1), pace(0.5, 0), pace(1, 0), pace(1, 1)]).toEqual([
    10_000, 8_000, 12_499, 15_000, 12_000,
  ]);
});
