import { expect, test } from "vitest";
import { errorCodes, RollcallError, type ErrorCode } from "../../src/lib/errors.ts";
import { describeProblem } from "../../src/http/problem.ts";
import { loggerTo } from "../../src/observability/logger.ts";
import { open, serve } from "./harness.ts";

/** The error table of the contract. */
const statuses: Record<ErrorCode, number> = {
  invalid_argument: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_registered: 404,
  not_found: 404,
  superseded: 409,
  conflict: 409,
  precondition_failed: 412,
  method_not_allowed: 405,
  unsupported_media_type: 415,
  too_large: 413,
  storage_full: 507,
  rate_limited: 429,
  no_leader: 503,
  unavailable: 503,
  too_stale: 503,
  overloaded: 503,
  commit_timeout: 504,
  revision_not_reached: 504,
  internal: 500,
};

const plain = { requestId: "r1", isRead: false, onWatch: false };

test("every code has the status of the contract, and says how long to wait where waiting helps", () => {
  for (const code of errorCodes) {
    const { status, body, headers } = describeProblem(new RollcallError(code, "why"), plain);
    expect([status, body.status, body.detail], code).toEqual([statuses[code], status, "why"]);
    expect(headers["Retry-After"], code).toBe([429, 503, 507].includes(status) ? "1" : undefined);
  }
});

test("a read has no outcome, and on a watch a revision that does not come is 503", () => {
  const error = new RollcallError("revision_not_reached", "why");
  expect(describeProblem(error, { ...plain, isRead: true }).body.outcome).toBe("none");
  expect(describeProblem(error, { ...plain, isRead: true, onWatch: true }).status).toBe(503);
});

test("every answer under /v1 says who answered and how fresh it is, errors included", async () => {
  const { get, ask, register } = await serve();
  await register("a");
  const replies = [
    await get("/v1/services"),
    await get("/v1/services/web/instances"),
    await get("/v1/services/web/instances/none"),
    await get("/v1/nothing/here"),
    await ask("POST", "/v1/services"),
    await ask("PUT", "/v1/services/web/instances/b", { raw: "{" }),
    await ask("DELETE", "/v1/services/web/instances/a"),
  ];
  for (const { headers } of replies) {
    expect(headers).toMatchObject({
      "rollcall-member": "n1",
      "rollcall-leader": "n1",
      "rollcall-term": "3",
      "rollcall-stale-ms": "0",
    });
    expect(headers["rollcall-request-id"]).toMatch(/^[\w-]+$/);
  }
  // As the member stood when the answer left it.
  expect(replies.at(-1)?.headers["rollcall-revision"]).toBe("2");
  const ids = replies.map(({ headers }) => headers["rollcall-request-id"]);
  expect(new Set(ids).size).toBe(ids.length);
});

test("a client may name its request; what is no plain name is not taken over", async () => {
  const { get } = await serve();
  const named = await get("/v1/nothing", { "Rollcall-Request-Id": "trace-7.a" });
  expect([named.headers["rollcall-request-id"], named.json.requestId]).toEqual(["trace-7.a", "trace-7.a"]);
  for (const id of ["a b", "x".repeat(65), 'a"b'])
    expect(
      (await get("/v1/services", { "Rollcall-Request-Id": id })).headers["rollcall-request-id"],
    ).not.toBe(id);
});

test("a defect is logged under the request's id, and the client is told nothing of it", async () => {
  const lines: string[] = [];
  const logger = loggerTo({ write: (line: string) => void lines.push(line) }, { level: "info", fields: {} });
  const { register, member } = await serve({ logger });
  member.submit = () => Promise.reject(new TypeError("secret internals"));
  const { status, json, text } = await register("a");
  expect([status, json.code, json.outcome]).toEqual([500, "internal", "unknown"]);
  expect(text).not.toContain("secret");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "error",
    requestId: json.requestId,
    method: "PUT",
  });
  expect(lines[0]).toContain("secret internals");
});

test("a method that a path does not have is 405 with those that it has; OPTIONS too", async () => {
  const { ask } = await serve();
  const cases: [method: string, path: string, allow: string][] = [
    ["POST", "/v1/services", "GET, HEAD"],
    ["GET", "/v1/batch", "POST"],
    ["POST", "/v1/services/web/instances/a", "PUT, PATCH, DELETE, GET, HEAD"],
    ["PUT", "/v1/namespaces/x/services/web/instances", "GET, HEAD"],
    ["DELETE", "/livez", "GET, HEAD"],
    ["PUT", "/v1/watch", "GET, HEAD"],
    ["OPTIONS", "/v1/cluster/members/n1", "DELETE"],
  ];
  for (const [method, path, allow] of cases) {
    const { status, json, headers } = await ask(method, path);
    expect([status, json.code, headers.allow], `${method} ${path}`).toEqual([
      405,
      "method_not_allowed",
      allow,
    ]);
  }
});

test("only so many requests are worked on at once, and some room is kept for renewals and deregistrations", async () => {
  const { ask, get, register, member, port } = await serve({
    admissionLimits: { requestsMax: 3, reserved: 1, servedAnyway: 0 },
  });
  await register("a");
  member.held = [];
  const path = "/v1/services/web/instances";
  const patient = ["PUT", "PUT"].map((method, i) =>
    open(
      { port, method, path: `${path}/p${i}`, headers: { "Content-Type": "application/json" } },
      '{"host":"h","port":1}',
    ),
  );
  while (member.held.length < 2) await new Promise((resolve) => setImmediate(resolve));
  const refused = await get(path);
  expect([refused.status, refused.json.code]).toEqual([503, "overloaded"]);
  const renewal = ask("POST", `${path}/a/renew`);
  while (member.held.length < 3) await new Promise((resolve) => setImmediate(resolve));
  expect((await ask("DELETE", `${path}/a`)).json.code).toBe("overloaded");
  member.release();
  expect((await renewal).status).toBe(200);
  for (const response of await Promise.all(patient)) response.resume();
  let reply = refused;
  while (reply.status !== 200) reply = await get(path);
});
