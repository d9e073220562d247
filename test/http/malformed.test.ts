/** Requests that nobody would write, from a generator: no 500, no crash, no change of state. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { endpoints, pathsOf } from "../../src/http/endpoints.ts";
import { serve, type Served } from "./harness.ts";

const replay = "npm run unit -- test/http/malformed";
const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 0x7fff_ffff));

const part = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom("web", "a1", "default", "n1", "", "..", "%00", "%zz", "%ff", "a%2Fb", "*"),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 12 }).map(encodeURIComponent) },
);

const path = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(...endpoints.flatMap(pathsOf).filter((template) => template !== "/v1/watch")),
      fc.array(part, { minLength: 4, maxLength: 4 }),
    )
    .map(([template, parts]) => template.replaceAll(/\{\w+\}/g, () => parts.pop() ?? "")),
  fc.array(part, { maxLength: 8 }).map((parts) => `/${parts.join("/")}`),
);

const parameter = fc.tuple(
  fc.constantFrom(
    "timeoutMs",
    "limit",
    "cursor",
    "status",
    "tag",
    "meta.x",
    "meta.",
    "order",
    "nearZone",
    "afterRevision",
    "minRevision",
    "consistency",
    "incarnation",
    "__proto__",
    "constructor",
  ),
  // Waiting for a revision far ahead would only take time.
  fc.oneof(
    fc.constantFrom("0", "1", "-1", "1e3", "", "local", "any", "near", "%", "x".repeat(300)),
    fc.string({ maxLength: 5 }).map(encodeURIComponent),
  ),
);
const query = fc
  .array(parameter, { maxLength: 4 })
  .map((pairs) => [...pairs.map(([name, value]) => `${name}=${value}`), "waitMs=0"].join("&"));

const fieldName = fc.constantFrom(
  "host",
  "port",
  "weight",
  "tags",
  "metadata",
  "status",
  "ttlMs",
  "session",
  "incarnation",
  "reason",
  "renewals",
  "operations",
  "op",
  "service",
  "id",
  "to",
  "peerUrl",
  "__proto__",
  "constructor",
);
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom("up", "register", "web", 80, -0, 1e308, [], {}, null),
);
const json = fc
  .oneof(fc.dictionary(fieldName, value, { maxKeys: 6 }), fc.jsonValue())
  .map((body) => JSON.stringify(body));
const broken = fc
  .tuple(json, fc.nat(), fc.constantFrom("", "{", "]", '"', "\\", "\u0000", "\uffff", "[[[[[[[[[[[[[[[[[[[["))
  .map(([text, at, junk]) => {
    const position = at % (text.length + 1);
    return text.slice(0, position) + junk + text.slice(position);
  });
const bytes = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array));

const request = fc.record({
  method: fc.constantFrom("GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND"),
  target: fc.oneof(
    { weight: 5, arbitrary: fc.tuple(path, query).map(([where, what]) => `${where}?${what}`) },
    { weight: 1, arbitrary: path },
  ),
  raw: fc.option(fc.oneof(json, broken, bytes), { nil: undefined }),
  type: fc.constantFrom(
    "application/json",
    "application/merge-patch+json",
    "text/plain",
    "application/json; charset=utf-16",
    "",
  ),
  headers: fc.dictionary(
    fc.constantFrom(
      "If-Match",
      "If-None-Match",
      "Idempotency-Key",
      "Rollcall-Request-Id",
      "Content-Encoding",
      "Accept",
      "Expect",
    ),
    fc.constantFrom('"1"', "*", "", "x", "gzip", "100-continue", "é", '"'.repeat(70)),
    { maxKeys: 2 },
  ),
});

/** Sends it; characters that may not stand in a header or an address cannot be sent at all. */
async function send(
  served: Served,
  { method, target, raw, type, headers }: typeof request extends fc.Arbitrary<infer R> ? R : never,
) {
  try {
    return await served.ask(method, target.replaceAll(/[^\x21-\x7e]/g, "~"), {
      ...(raw === undefined ? {} : { raw }),
      headers: { ...(raw === undefined ? {} : { "Content-Type": type }), ...headers },
    });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ERR_INVALID_CHAR" || code === "ERR_HTTP_EXPECT_CONTINUE") return null;
    throw error;
  }
}

test("no malformed request ends in a 500, and what is refused changes nothing", async () => {
  const served = await serve();
  await served.register("a1");
  let refused = 0;
  const property = fc.asyncProperty(request, async (input) => {
    const { registry, submitted } = served.member;
    const before = { hash: registry.stateHash(), revision: registry.revision, submitted: submitted.length };
    const reply = await send(served, input);
    if (reply === null) return;
    expect(reply.status).not.toBe(500);
    expect(reply.status).toBeLessThan(505);
    if (reply.status < 400) return;
    refused += 1;
    expect(registry.revision).toBe(before.revision);
    // What a write with a key failed with is kept for its repeat, so only what never reached the registry leaves it as it was.
    const isUntouched = submitted.length === before.submitted;
    expect(isUntouched ? registry.stateHash() : before.hash).toBe(before.hash);
  });
  try {
    await fc.assert(property, {
      seed,
      numRuns: 1_500,
      interruptAfterTimeLimit: 20_000,
      markInterruptAsFailure: false,
    });
  } catch (error) {
    console.error(`replay: SEED=${seed} ${replay}`);
    throw error;
  }
  expect(refused).toBeGreaterThan(200);
  expect((await served.get("/readyz")).status).toBe(200);
});

test("bytes that are no HTTP get a 400 or an end, and harm nobody", async () => {
  const { raw, get } = await serve({ timeouts: { headersMs: 300, bodyMs: 500, checkEveryMs: 20 } });
  const cases = [
    "GARBAGE\r\n\r\n",
    "GET /v1/services HTTP/9.9\r\n\r\n",
    "FETCH /v1/services HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /v1/services HTTP/1.1\r\nHost x\r\n\r\n",
    "PUT /v1/services/web/instances/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "PUT /v1/services/web/instances/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    "\u0000\u0001\u0002\r\n\r\n",
    "GET /v1/services",
  ];
  for (const bytes of cases) {
    const answer = await raw(bytes);
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    expect(head, bytes.slice(0, 40)).toMatch(/^HTTP\/1\.1 (400|408|431) /);
    expect(JSON.parse(body), bytes.slice(0, 40)).toMatchObject({ outcome: "not_applied" });
  }
  expect((await get("/livez")).status).toBe(200);
});
