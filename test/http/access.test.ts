import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { failureLimits } from "../../src/http/access.ts";
import { endpoints, pathsOf } from "../../src/http/endpoints.ts";
import { accessRights, type AccessRight, type AccessToken } from "../../src/lib/access-token.ts";
import { loggerTo } from "../../src/observability/logger.ts";
import { open, serve, type Ask, type Served } from "./harness.ts";

function tokenOf(secret: string, more: Partial<AccessToken> = {}): AccessToken {
  const sha256 = createHash("sha256").update(secret).digest();
  return { name: secret, sha256, rights: accessRights, namespace: null, servicePrefix: null, ...more };
}

const tokens: readonly AccessToken[] = [
  tokenOf("all-of-it"),
  ...accessRights.map((right) => tokenOf(`only-${right}`, { rights: [right] })),
  tokenOf("only-team-a", { namespace: "team-a" }),
  tokenOf("only-web", { servicePrefix: "web-", namespace: "default" }),
];

type AskAs = (secret: string | null, method: string, path: string, asked?: Ask) => ReturnType<Served["ask"]>;

async function serveWithTokens(): Promise<Served & { readonly as: AskAs }> {
  const served = await serve({ tokens });
  const as: AskAs = (secret, method, path, asked = {}) => {
    const authorization: Record<string, string> =
      secret === null ? {} : { Authorization: `Bearer ${secret}` };
    return served.ask(method, path, { ...asked, headers: { ...authorization, ...asked.headers } });
  };
  return { ...served, as };
}

const body = { host: "h", port: 1 };
const instance = "/v1/services/web-1/instances/a";

/** A path of each endpoint, with names put in. Those that would stay open are left out where they would be let in. */
function calls(): { readonly method: string; readonly path: string; readonly right: AccessRight | "open" }[] {
  return endpoints.flatMap((endpoint) =>
    pathsOf(endpoint).map((path) => ({
      method: endpoint.method,
      path: path.replaceAll(/\{\w+\}/g, "x"),
      right: endpoint.policy.right,
    })),
  );
}

test("without tokens everybody may do everything; with them nobody gets anywhere without one but to probes and documentation", async () => {
  const { ask } = await serve();
  expect((await ask("PUT", instance, { body })).status).toBe(201);
  const { as } = await serveWithTokens();
  for (const { method, path, right } of calls()) {
    const { status, json, headers } = await as(null, method, path);
    const isAsked = [
      status === 401,
      json?.code === "unauthenticated",
      headers["www-authenticate"] !== undefined,
    ];
    expect([path, ...isAsked]).toEqual([path, right !== "open", right !== "open", right !== "open"]);
  }
});

test("each endpoint asks for the right that its policy names, before it looks at anything else", async () => {
  const { as } = await serveWithTokens();
  for (const { method, path, right } of calls()) {
    if (right === "open") continue;
    for (const other of accessRights.filter((one) => one !== right)) {
      const { status, json } = await as(`only-${other}`, method, `${path}?nonsense=1`);
      expect([status, json.code, `${method} ${path}`]).toEqual([403, "forbidden", `${method} ${path}`]);
    }
    expect((await as(`only-${right}`, method, `${path}?nonsense=1`)).status, path).toBe(400);
  }
});

test("a wrong token, and what is no token, is refused; nothing of it is logged or told", async () => {
  const lines: string[] = [];
  const logger = loggerTo({ write: (line: string) => void lines.push(line) }, { level: "debug", fields: {} });
  const { ask } = await serve({ tokens, logger });
  for (const header of ["Bearer wrong-secret", "Bearer", "Basic YTpi", "all-of-it", "Bearer all-of-it x"]) {
    const reply = await ask("GET", instance, { headers: { Authorization: header } });
    expect([reply.status, reply.json.outcome], header).toEqual([401, "none"]);
    expect(reply.text).not.toContain("wrong-secret");
  }
  expect(lines.join("")).not.toContain("secret");
});

test("whoever guesses gets 429 after a while, and a right token from the same address is served all the same", async () => {
  const { as } = await serveWithTokens();
  for (let i = 0; i < failureLimits.failuresMax; i += 1)
    expect((await as(`guess-${i}`, "GET", instance)).status).toBe(401);
  const { status, json, headers } = await as("one-more-guess", "GET", instance);
  expect([status, json.code, headers["retry-after"]]).toEqual([429, "rate_limited", "60"]);
  expect((await as("all-of-it", "PUT", instance, { body })).status).toBe(201);
  expect((await as("all-of-it", "POST", `${instance}/renew`)).status).toBe(200);
  expect((await as(null, "GET", "/livez")).status).toBe(200);
});

test("a token that is limited reaches its namespace and its services, and nothing else", async () => {
  const { as } = await serveWithTokens();
  const inA = "/v1/namespaces/team-a/services";
  const listed = (service: string, namespace = "default"): object => ({ service, namespace, id: "a" });
  const cases: [secret: string, method: string, path: string, body: object | undefined, allowed: boolean][] =
    [
      ["only-team-a", "PUT", `${inA}/web/instances/a`, body, true],
      ["only-team-a", "PUT", instance, body, false],
      ["only-team-a", "GET", inA, undefined, true],
      ["only-team-a", "GET", "/v1/services", undefined, false],
      ["only-team-a", "GET", "/v1/namespaces", undefined, false],
      ["only-team-a", "GET", "/v1/cluster", undefined, true],
      ["only-team-a", "POST", "/v1/cluster/compact", undefined, false],
      ["only-team-a", "POST", "/v1/renewals", { renewals: [listed("web", "team-a")] }, true],
      ["only-team-a", "POST", "/v1/renewals", { renewals: [listed("web", "team-a"), listed("web")] }, false],
      ["only-web", "PUT", instance, body, true],
      ["only-web", "PUT", "/v1/services/db/instances/a", body, false],
      ["only-web", "GET", "/v1/services?prefix=web-1", undefined, true],
      ["only-web", "GET", "/v1/services?prefix=we", undefined, false],
      ["only-web", "GET", "/v1/services", undefined, false],
      ["only-web", "GET", "/v1/watch", undefined, false],
      ["only-web", "GET", "/v1/watch?service=web-1&service=db", undefined, false],
      ["only-web", "GET", "/v1/watch?service=web-1&prefix=w", undefined, false],
      ["only-web", "GET", "/v1/watch?service=web-1&namespace=other", undefined, false],
      ["only-web", "POST", "/v1/batch", { operations: [{ op: "deregister", ...listed("web-1") }] }, true],
      ["only-web", "POST", "/v1/batch", { operations: [{ op: "deregister", ...listed("db") }] }, false],
    ];
  for (const [secret, method, path, given, allowed] of cases) {
    const reply = await as(secret, method, path, given === undefined ? {} : { body: given });
    expect([reply.status === 403, `${secret} ${method} ${path}`]).toEqual([
      !allowed,
      `${secret} ${method} ${path}`,
    ]);
  }
  const presence = JSON.stringify({ instances: [{ service: "db", id: "a", incarnation: 1 }] });
  const headers = { "Content-Type": "application/x-ndjson" };
  const attached = await as("only-web", "POST", "/v1/presence", { raw: `${presence}\n`, headers });
  expect(attached.json.code).toBe("forbidden");
});

test("a watch of what the token reaches opens", async () => {
  const { port } = await serveWithTokens();
  const headers = { Authorization: "Bearer only-web" };
  const response = await open({ port, path: "/v1/watch?service=web-1&prefix=web-", headers });
  expect(response.statusCode).toBe(200);
  response.destroy();
});

test("the history names the token by which something was changed", async () => {
  const { as } = await serveWithTokens();
  await as("only-web", "PUT", instance, { body });
  await as("all-of-it", "POST", `${instance}/drain`, { body: { reason: "deploy 7", waitMs: 0 } });
  const { events } = (await as("only-web", "GET", "/v1/services/web-1/history")).json;
  expect(events).toMatchObject([
    { type: "status", by: "all-of-it", reason: "up -> draining: deploy 7" },
    { type: "registered", by: "only-web" },
  ]);
});
