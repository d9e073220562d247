import { expect, test } from "vitest";
import { serve } from "./harness.ts";

test("a batch is applied in order, and one that fails does not stop the others", async () => {
  const { ask, member } = await serve();
  const { status, json } = await ask("POST", "/v1/batch", {
    body: {
      operations: [
        { op: "register", service: "web", id: "b", host: "h", port: 1, tags: ["x"] },
        { op: "register", service: "web", id: "b", host: "h", port: 2, ifAbsent: true },
        { op: "renew", service: "web", id: "b" },
        { op: "renew", service: "web", id: "nobody" },
        { op: "patch", service: "web", id: "b", zone: "z1", ifRevision: 1 },
        { op: "patch", namespace: "other", service: "web", id: "b", zone: "z1" },
        { op: "deregister", service: "web", id: "b", incarnation: 1 },
      ],
    },
  });
  expect(status).toBe(200);
  expect(json.revision).toBe(3);
  expect(json.results).toMatchObject([
    { status: 201, created: true, revision: 1 },
    { status: 412, code: "precondition_failed", currentRevision: 1 },
    { status: 200, ttlMs: 30_000, incarnation: 1 },
    {
      status: 404,
      code: "not_registered",
      type: "/errors/not_registered",
      title: "No such instance",
      detail: /^nobody is not registered/,
      retryable: false,
      outcome: "not_applied",
    },
    { status: 200, changed: true, instance: { zone: "z1" } },
    { status: 404, code: "not_registered" },
    { status: 200, revision: 3 },
  ]);
  expect(member.submitted).toHaveLength(1);
});

test("a batch with one malformed operation changes nothing, and says which", async () => {
  const { ask, member } = await serve();
  const operations = [
    { op: "register", service: "web", id: "b", host: "h", port: 1 },
    { op: "register", service: "web", id: "c", host: "h", port: 1, wieght: 3 },
    { op: "remove", service: "web", id: "b" },
  ];
  const { status, json } = await ask("POST", "/v1/batch", { body: { operations } });
  expect(status).toBe(400);
  expect(json.errors).toEqual([
    { pointer: "/operations/1/wieght", detail: 'is not a known field; did you mean "weight"?' },
    {
      pointer: "/operations/2/op",
      detail: 'must be one of register, patch, deregister, renew; got "remove"',
    },
  ]);
  expect(member.submitted).toEqual([]);
});

test("from none to a thousand operations are taken at once, one more is not", async () => {
  const { ask } = await serve();
  const many = (count: number) => ({
    operations: Array.from({ length: count }, (_, i) => ({
      op: "register",
      service: "web",
      id: `i${i}`,
      host: "h",
      port: 1,
    })),
  });
  expect((await ask("POST", "/v1/batch", { body: many(1_000) })).status).toBe(200);
  expect((await ask("POST", "/v1/batch", { body: many(0) })).json).toEqual({ results: [], revision: 1_000 });
  expect((await ask("POST", "/v1/batch", { body: many(1_001) })).status).toBe(400);
});

test("a repeated batch with the same Idempotency-Key is not done twice", async () => {
  const { ask } = await serve();
  const body = { operations: [{ op: "register", service: "web", id: "b", host: "h", port: 1 }] };
  const headers = { "Idempotency-Key": "batch-1" };
  const first = await ask("POST", "/v1/batch", { body, headers });
  const again = await ask("POST", "/v1/batch", { body, headers });
  expect(again.json.results[0]).toMatchObject({ status: 201, created: true, revision: first.json.revision });
});
