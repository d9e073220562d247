import { connect } from "node:net";
import { expect, test } from "vitest";
import { scanJson } from "../../src/http/json-scan.ts";
import { serve, type Ask } from "./harness.ts";

const path = "/v1/services/web/instances/a1";
const good = { host: "10.0.0.1", port: 8080 };
const deep = (levels: number): string => `${'{"metadata":'.repeat(levels)}1${"}".repeat(levels)}`;

interface Case {
  readonly what: string;
  readonly method?: string;
  readonly target?: string;
  readonly ask?: Ask;
  readonly status?: number;
  readonly code?: string;
  /** Where the first error points. */
  readonly pointer?: string;
  /** A part of the first error's words. */
  readonly says?: string;
}

const put = (changes: object): Ask => ({ body: { ...good, ...changes } });
const raw = (text: string | Uint8Array, type = "application/json"): Ask => ({
  raw: text,
  headers: { "Content-Type": type },
});

const cases: Case[] = [
  { what: "malformed JSON", ask: raw('{"host":'), pointer: "", says: "is not JSON" },
  { what: "an empty body", ask: raw(""), pointer: "", says: "is missing" },
  { what: "no body", ask: {}, pointer: "", says: "is missing" },
  {
    what: "JSON that is no object",
    ask: raw("[1]"),
    pointer: "",
    says: "must be an object; got an array of 1",
  },
  { what: "JSON null", ask: raw("null"), pointer: "", says: "must be an object; got null" },
  { what: "bytes that are no UTF-8", ask: raw(Buffer.from([0x7b, 0xff, 0x7d])), pointer: "", says: "UTF-8" },
  {
    what: "a missing field",
    ask: { body: { host: "h" } },
    pointer: "/port",
    says: "is missing; it must be an integer",
  },
  { what: "a port as text", ask: put({ port: "80" }), pointer: "/port", says: 'got "80"' },
  { what: "a port above its range", ask: put({ port: 65_536 }), pointer: "/port", says: "from 0 to 65535" },
  { what: "a port below its range", ask: put({ port: -1 }), pointer: "/port" },
  { what: "a fraction", ask: put({ port: 1.5 }), pointer: "/port" },
  { what: "a number beyond all ranges", ask: raw('{"host":"h","port":1e999}'), pointer: "/port" },
  { what: "null for a field", ask: put({ zone: null }), pointer: "/zone" },
  { what: "an empty host", ask: put({ host: "" }), pointer: "/host" },
  { what: "a host with a path", ask: put({ host: "evil.example/x" }), pointer: "/host" },
  { what: "a host that is too long", ask: put({ host: "h".repeat(256) }), pointer: "/host" },
  { what: "a scheme that is none", ask: put({ scheme: "1http" }), pointer: "/scheme" },
  { what: "a weight above its range", ask: put({ weight: 10_001 }), pointer: "/weight" },
  { what: "a TTL below its range", ask: put({ ttlMs: 999 }), pointer: "/ttlMs" },
  { what: "a TTL above its range", ask: put({ ttlMs: 86_400_001 }), pointer: "/ttlMs" },
  {
    what: "an unknown status",
    ask: put({ status: "UP" }),
    pointer: "/status",
    says: "up, starting, draining, down",
  },
  { what: "too many tags", ask: put({ tags: Array.from({ length: 65 }, String) }), pointer: "/tags" },
  { what: "a tag that is too long", ask: put({ tags: ["ok", "t".repeat(129)] }), pointer: "/tags/1" },
  { what: "a tag that is no text", ask: put({ tags: [7] }), pointer: "/tags/0" },
  { what: "tags that are no list", ask: put({ tags: "x" }), pointer: "/tags" },
  {
    what: "a lone surrogate",
    ask: raw('{"host":"h","port":1,"zone":"\\ud800"}'),
    pointer: "/zone",
    says: "Unicode",
  },
  { what: "metadata that is no text", ask: put({ metadata: { a: 1 } }), pointer: "/metadata/a" },
  {
    what: "a metadata key that is too long",
    ask: put({ metadata: { ["k".repeat(129)]: "" } }),
    says: "1-128",
  },
  { what: "an empty metadata key", ask: put({ metadata: { "": "x" } }), pointer: "/metadata/" },
  {
    what: "a metadata value that is too long",
    ask: put({ metadata: { a: "v".repeat(1025) } }),
    pointer: "/metadata/a",
  },
  {
    what: "too many metadata pairs",
    ask: put({ metadata: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) }),
    pointer: "/metadata",
  },
  { what: "a session that is too long", ask: put({ session: "s".repeat(65) }), pointer: "/session" },
  {
    what: "an unknown field",
    ask: put({ adress: "x" }),
    pointer: "/adress",
    says: "is not a known field; known are",
  },
  {
    what: "a misspelt field",
    ask: put({ metdata: {} }),
    pointer: "/metdata",
    says: 'did you mean "metadata"?',
  },
  { what: "a pointer that needs escaping", ask: put({ "a/b~c": 1 }), pointer: "/a~1b~0c" },
  {
    what: "__proto__ as a key",
    ask: raw('{"host":"h","port":1,"__proto__":{"x":1}}'),
    pointer: "/__proto__",
  },
  {
    what: "__proto__ in disguise",
    ask: raw('{"host":"h","port":1,"\\u005f_proto__":1}'),
    pointer: "/__proto__",
  },
  {
    what: "constructor as a key, deeper",
    ask: raw('{"host":"h","port":1,"metadata":{"constructor":"x"}}'),
    pointer: "/metadata/constructor",
  },
  { what: "prototype as a key", ask: raw('{"prototype":1}'), pointer: "/prototype" },
  {
    what: "a key that is given twice",
    ask: raw('{"host":"h","port":1,"host":"i"}'),
    pointer: "/host",
    says: "is given twice",
  },
  { what: "nesting of 17", ask: raw(deep(17)), pointer: "", says: "nested more than 16 deep" },
  { what: "nesting of 16, which is no object of ours", ask: raw(deep(16)), pointer: "/host" },
  {
    what: "a body over 64 KiB",
    ask: raw(`{"host":"${"h".repeat(65_536)}"}`),
    status: 413,
    code: "too_large",
  },
  {
    what: "a bulk body over 4 MiB",
    method: "POST",
    target: "/v1/batch",
    ask: raw(" ".repeat(4 * 1024 * 1024 + 1)),
    status: 413,
    code: "too_large",
  },
  {
    what: "a body that is a form",
    ask: raw("host=h", "application/x-www-form-urlencoded"),
    status: 415,
    code: "unsupported_media_type",
  },
  {
    what: "a merge patch where none is taken",
    ask: raw("{}", "application/merge-patch+json"),
    status: 415,
    code: "unsupported_media_type",
  },
  {
    what: "a body in Latin-1",
    ask: raw("{}", "application/json; charset=latin1"),
    status: 415,
    code: "unsupported_media_type",
  },
  {
    what: "a compressed body",
    ask: { raw: "{}", headers: { "Content-Encoding": "gzip" } },
    status: 415,
    code: "unsupported_media_type",
  },
  {
    what: "a patch that is no JSON type",
    method: "PATCH",
    ask: raw("{}", "text/plain"),
    status: 415,
    code: "unsupported_media_type",
  },
  { what: "a patch of the id", method: "PATCH", ask: { body: { id: "b" } }, pointer: "/id" },
  { what: "a patch of the session", method: "PATCH", ask: { body: { session: "b" } }, pointer: "/session" },
  {
    what: "a patch that takes the host away",
    method: "PATCH",
    ask: { body: { host: null } },
    pointer: "/host",
  },
  {
    what: "a service name against the rule",
    target: "/v1/services/_web/instances/a1",
    ask: put({}),
    pointer: "service",
    says: "must be a name: 1-128 characters",
  },
  { what: "an id against the rule", target: "/v1/services/web/instances/a%20b", ask: put({}), pointer: "id" },
  { what: "an id with a slash", target: "/v1/services/web/instances/a%2Fb", ask: put({}), pointer: "id" },
  {
    what: "an id that is too long",
    target: `/v1/services/web/instances/${"a".repeat(129)}`,
    ask: put({}),
    pointer: "id",
  },
  {
    what: "a namespace against the rule",
    target: "/v1/namespaces/-x/services/web/instances/a1",
    ask: put({}),
    pointer: "namespace",
  },
  { what: "dots as an id", target: "/v1/services/web/instances/..", ask: put({}), pointer: "id" },
  {
    what: "an escape that is none, in the path",
    target: "/v1/services/%zz/instances/a1",
    ask: put({}),
    pointer: "path",
    says: "percent-encoded",
  },
  {
    what: "an escape that is no UTF-8, in the path",
    target: "/v1/services/%ff/instances/a1",
    ask: put({}),
    pointer: "path",
    says: "percent-encoded",
  },
  {
    what: "an escape that is none, in the query",
    target: `${path}?timeoutMs=%zz`,
    ask: put({}),
    pointer: "query",
    says: 'percent-encoded UTF-8; got "%zz"',
  },
  { what: "a value without a name", target: `${path}?=5`, ask: put({}), pointer: "query" },
  {
    what: "a parameter that is given too often",
    method: "GET",
    target: `/v1/services/web/instances?${"tag=x&".repeat(65)}`,
    pointer: "tag",
    says: "may be given at most 64 times",
  },
  {
    what: "an incarnation in a body, where none is read",
    method: "DELETE",
    ask: { body: { incarnation: 1 } },
    pointer: "/incarnation",
    says: "is not a known field; there are none here",
  },
  {
    what: "a body of another type, where none is read",
    method: "DELETE",
    ask: raw("incarnation=1", "application/x-www-form-urlencoded"),
    status: 415,
    code: "unsupported_media_type",
  },
  {
    what: "an unknown parameter",
    target: `${path}?force=1`,
    ask: put({}),
    pointer: "force",
    says: "known are timeoutMs",
  },
  {
    what: "a misspelt parameter",
    target: `${path}?timoutMs=1`,
    ask: put({}),
    pointer: "timoutMs",
    says: 'did you mean "timeoutMs"?',
  },
  {
    what: "a parameter that is given twice",
    target: `${path}?timeoutMs=1&timeoutMs=2`,
    ask: put({}),
    pointer: "timeoutMs",
    says: "twice",
  },
  { what: "a timeout of nothing", target: `${path}?timeoutMs=0`, ask: put({}), pointer: "timeoutMs" },
  { what: "a timeout over its range", target: `${path}?timeoutMs=60001`, ask: put({}), pointer: "timeoutMs" },
  {
    what: "a timeout with a unit",
    target: `${path}?timeoutMs=5s`,
    ask: put({}),
    pointer: "timeoutMs",
    says: 'got "5s"',
  },
  {
    what: "a read parameter on a write",
    target: `${path}?consistency=local`,
    ask: put({}),
    pointer: "consistency",
  },
  {
    what: "an incarnation that is no number",
    method: "DELETE",
    target: `${path}?incarnation=x`,
    pointer: "incarnation",
  },
  {
    what: "a status that is none",
    method: "GET",
    target: "/v1/services/web/instances?status=up&status=UP",
    pointer: "status",
  },
  {
    what: "metadata without a key",
    method: "GET",
    target: "/v1/services/web/instances?meta.=x",
    pointer: "meta",
  },
  {
    what: "metadata as one parameter",
    method: "GET",
    target: "/v1/services/web/instances?meta=x",
    pointer: "meta",
  },
  {
    what: "an order that is none",
    method: "GET",
    target: "/v1/services/web/instances?order=best",
    pointer: "order",
  },
  {
    what: "a wait over its range",
    method: "GET",
    target: "/v1/services/web/instances?afterRevision=1&waitMs=600001",
    pointer: "waitMs",
  },
  {
    what: "a limit of nothing",
    method: "GET",
    target: "/v1/services/web/instances?limit=0",
    pointer: "limit",
  },
  {
    what: "a consistency that is none",
    method: "GET",
    target: "/v1/services?consistency=strong",
    pointer: "consistency",
  },
  { what: "a watch level", method: "GET", target: "/v1/watch?consistency=local", pointer: "consistency" },
  {
    what: "a Last-Event-ID that is none",
    method: "GET",
    target: "/v1/watch",
    ask: { headers: { "Last-Event-ID": "x" } },
    pointer: "Last-Event-ID",
  },
  { what: "a path that is not there", method: "GET", target: "/v1/servces", status: 404, code: "not_found" },
  {
    what: "a path that goes on",
    method: "GET",
    target: "/v1/cluster/hash/x",
    status: 404,
    code: "not_found",
  },
  { what: "a slash at the end", method: "GET", target: "/v1/services/", status: 404, code: "not_found" },
  {
    what: "two slashes at the start",
    method: "GET",
    target: "//v1/services",
    status: 404,
    code: "not_found",
  },
  {
    what: "two slashes within",
    method: "PUT",
    target: "/v1/services//instances/a1",
    ask: put({}),
    status: 404,
    code: "not_found",
  },
  { what: "another case", method: "GET", target: "/V1/services", status: 404, code: "not_found" },
  {
    what: "an absolute address",
    method: "GET",
    target: "http://elsewhere.example/v1/services",
    pointer: "path",
    says: "must stand alone",
  },
];

test("bad input: the right code, a pointer to the place, and nothing changed", async () => {
  const { ask, register, member } = await serve();
  await register("untouched");
  const before = member.registry.stateHash();
  for (const {
    what,
    method = "PUT",
    target = path,
    ask: asked,
    status = 400,
    code = "invalid_argument",
    pointer,
    says,
  } of cases) {
    const reply = await ask(method, target, asked);
    expect([reply.status, reply.json.code], what).toEqual([status, code]);
    expect(reply.json.outcome, what).toBe(method === "GET" ? "none" : "not_applied");
    const [first = { pointer: "", detail: "" }] = reply.json.errors ?? [];
    expect(first.pointer, what).toBe(pointer ?? first.pointer);
    expect(first.detail, what).toContain(says ?? "");
  }
  expect(member.registry.stateHash()).toBe(before);
});

test("the limits themselves are inside", async () => {
  const { ask } = await serve();
  const largest = {
    host: "h".repeat(255),
    port: 65_535,
    scheme: `h${"+".repeat(31)}`,
    version: "v".repeat(128),
    zone: "z".repeat(128),
    weight: 10_000,
    tags: Array.from({ length: 64 }, (_, i) => `${i}`.padEnd(128, "t")),
    metadata: Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`${i}`.padEnd(128, "k"), "v".repeat(1024)]),
    ),
    ttlMs: 86_400_000,
    session: "s".repeat(64),
  };
  const name = "n".repeat(128);
  const target = `/v1/namespaces/${name}/services/${name}/instances/${name}`;
  expect((await ask("PUT", target, { body: largest })).status).toBe(201);
  const smallest = { host: "h", port: 0, weight: -0, tags: [], metadata: {}, ttlMs: 1_000 };
  expect((await ask("PUT", target, { body: smallest })).status).toBe(200);
  const pairs = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`k${i}`, ""]));
  expect((await ask("PUT", target, { body: { ...smallest, metadata: pairs } })).status).toBe(200);
  expect((await ask("PUT", `${target}?timeoutMs=60000`, { body: smallest })).status).toBe(200);
});

test("lengths are those of characters, to the schemas and to the registry alike", async () => {
  const { ask, member } = await serve();
  const faces = (count: number): object => ({
    host: "h",
    port: 1,
    version: "\u{1f600}".repeat(128),
    tags: ["\u{1f600}".repeat(128)],
    metadata: { ["\u{1f600}".repeat(128)]: "\u{1f600}".repeat(count) },
    session: "\u{1f600}".repeat(64),
  });
  expect((await ask("PUT", path, { body: faces(1024) })).status).toBe(201);
  const { status, json } = await ask("PUT", path, { body: faces(1025) });
  expect(status).toBe(400);
  expect(json.errors).toMatchObject([{ detail: /^must be a string of 0-1024 characters/ }]);
  expect(member.submitted).toHaveLength(1);
});

test("what breaks two checks of one rule is told once", async () => {
  const { ask } = await serve();
  const { json } = await ask("PUT", path, put({ port: 1e20 }));
  expect(json.detail).toBe("/port must be an integer from 0 to 65535; got 100000000000000000000");
  expect(json.errors).toHaveLength(1);
});

test("an empty body, or one that says nothing, may come where none is read", async () => {
  const { ask, register } = await serve();
  await register("a1");
  const empty = await ask("PUT", `${path}/override`, { body: { reason: "x", weight: 2 } });
  expect(empty.status).toBe(200);
  const nothing = await ask("DELETE", `${path}/override`, { body: {} });
  expect([nothing.status, nothing.json.changed]).toEqual([200, true]);
  const headerOnly = await ask("DELETE", path, raw(""));
  expect(headerOnly.status).toBe(200);
});

test("all that is wrong is said at once, up to twenty things", async () => {
  const { ask } = await serve();
  const { json } = await ask("PUT", path, { body: { prot: 1, port: "x", weight: -1 } });
  expect(json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
    "/host",
    "/port",
    "/weight",
    "/prot",
  ]);
  expect(json.detail).toMatch(/^\/host is missing; .* \(and 3 more: see errors\)$/);
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x${i}`, 1]));
  expect((await ask("PUT", path, { body: many })).json.errors).toHaveLength(20);
});

test("a body without a length is bounded while it is read", async () => {
  const { ask } = await serve();
  const headers = { "Transfer-Encoding": "chunked" };
  const large = `{"host":"${"h".repeat(70_000)}"}`;
  expect((await ask("PUT", path, { raw: large, headers })).status).toBe(413);
  expect((await ask("POST", `${path}/renew`, { raw: "", headers })).status).toBe(404);
});

test("a client that goes away in the middle of its body harms nobody", async () => {
  const { port, get, member } = await serve();
  const socket = connect({ host: "127.0.0.1", port });
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"host"`,
  );
  await new Promise((resolve) => socket.once("connect", resolve));
  expect((await get("/livez")).status).toBe(200);
  socket.destroy();
  expect((await get("/livez")).status).toBe(200);
  expect(member.submitted).toEqual([]);
});

test("the scan finds what it looks for wherever it stands, and nothing in strings", () => {
  const finds = (text: string): string | null => scanJson(text, 16).badKey?.pointer ?? null;
  expect(finds('{"a":[{"b":1},{"c":{"constructor":0}}]}')).toBe("/a/1/c/constructor");
  expect(finds('{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}')).toBeNull();
  expect(finds('{"a":1,"\\u0061":2}')).toBe("/a");
  expect(finds('{"text":"{\\"__proto__\\":1,\\"__proto__\\":[[[","b":"\\\\"}')).toBeNull();
  expect(finds('["__proto__","__proto__"]')).toBeNull();
  expect(scanJson("[".repeat(16), 16).tooDeep).toBe(false);
  expect(scanJson("[".repeat(17), 16).tooDeep).toBe(true);
  expect(scanJson(`"${"[".repeat(99)}"`, 16).tooDeep).toBe(false);
});
