import { expect, test } from "vitest";
import { errorCodes } from "../../src/lib/errors.ts";
import { serve, serveNothing } from "./harness.ts";

test("before a member runs: live, not ready with the reasons, and /v1 unavailable with the same", async () => {
  const { get, server, ask } = await serveNothing();
  expect([(await get("/livez")).status, (await get("/readyz")).text]).toEqual([
    200,
    "[-]start the member is starting\n",
  ]);
  server.setWaiting(["n2 at http://10.0.0.2:7501 does not answer", "n3 is not empty"]);
  const ready = await get("/readyz");
  expect([ready.status, ready.text]).toEqual([
    503,
    "[-]start n2 at http://10.0.0.2:7501 does not answer\n[-]start n3 is not empty\n",
  ]);
  for (const [method, path] of [
    ["GET", "/v1/services"],
    ["PUT", "/v1/services/web/instances/a"],
    ["GET", "/v1/watch"],
    ["GET", "/v1/nothing"],
  ] as const) {
    const reply = await ask(method, path);
    expect([reply.status, reply.json.code, reply.headers["retry-after"]], path).toEqual([
      503,
      "unavailable",
      "1",
    ]);
    expect(reply.json.detail).toContain("n2 at http://10.0.0.2:7501 does not answer; n3 is not empty");
    expect([reply.headers["rollcall-member"], reply.headers["rollcall-stale-ms"]]).toEqual([
      "n1",
      "2147483647",
    ]);
  }
  expect((await get("/nothing")).status).toBe(404);
});

test("ready when every check holds; else 503 with what is wrong, line by line", async () => {
  const { get, member, server } = await serve();
  expect([(await get("/readyz")).status, (await get("/readyz")).text]).toEqual([
    200,
    "[+]leader ok\n[+]server ok\n",
  ]);
  member.checks = [
    { name: "leader", ok: true, detail: "" },
    { name: "disk", ok: false, detail: "the disk is full; make room" },
  ];
  const unready = await get("/readyz");
  expect([unready.status, unready.text]).toEqual([
    503,
    "[+]leader ok\n[-]disk the disk is full; make room\n[+]server ok\n",
  ]);
  member.checks = [{ name: "disk", ok: true, detail: "there is little room" }];
  const warned = await get("/readyz");
  expect([warned.status, warned.text]).toEqual([200, "[+]disk ok, but there is little room\n[+]server ok\n"]);
  member.checks = [];
  server.setStopping();
  expect((await get("/readyz")).text).toBe("[-]server the server is stopping\n");
  expect((await get("/livez")).status).toBe(200);
});

test("metrics count requests by the template of their route, never by their path", async () => {
  const { get, register } = await serve();
  await register("secret-name");
  await get("/v1/namespaces/n/services/s/instances/secret-name");
  await get("/nowhere/secret-name");
  const { text, headers } = await get("/metrics");
  expect(headers["content-type"]).toContain("text/plain");
  expect(text).toMatch(
    /rollcall_http_request_duration_seconds_count\{.*route="\/v1\/services\/\{service\}\/instances\/\{id\}".*\} 1/,
  );
  expect(text).toMatch(/route="other"/);
  expect(text).not.toContain("secret-name");
});

test("every error code has a page, which is the type of its problems", async () => {
  const { get } = await serve();
  for (const code of errorCodes) {
    const { status, json } = await get(`/errors/${code}`);
    expect([status, json.code, json.meaning.length > 20]).toEqual([200, code, true]);
  }
  const missing = await get("/v1/services/web/instances/a");
  expect((await get(missing.json.type)).json.title).toBe(missing.json.title);
  expect((await get("/errors/nonsense")).status).toBe(400);
});
