import { expect, test } from "vitest";
import { endpoints, pathsOf } from "../../src/http/endpoints.ts";
import { openApiDocument } from "../../src/http/openapi.ts";
import { serve } from "./harness.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- a document to look into
const document = openApiDocument() as any;

test("every endpoint is in the document under each of its paths, and nothing else is", () => {
  const documented = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const served = endpoints.flatMap((endpoint) =>
    pathsOf(endpoint).map((path) => `${endpoint.method} ${path}`),
  );
  expect(documented.toSorted()).toEqual(served.toSorted());
});

/** The list of API.md's tables, as far as it can be done over a member. */
const contract = [
  "PUT /v1/services/{service}/instances/{id}",
  "POST /v1/services/{service}/instances/{id}/renew",
  "PATCH /v1/services/{service}/instances/{id}",
  "DELETE /v1/services/{service}/instances/{id}",
  "GET /v1/services/{service}/instances/{id}",
  "POST /v1/renewals",
  "POST /v1/batch",
  "POST /v1/services/{service}/instances/{id}/drain",
  "PUT /v1/services/{service}/instances/{id}/override",
  "DELETE /v1/services/{service}/instances/{id}/override",
  "GET /v1/services/{service}/history",
  "GET /v1/services/{service}/explain",
  "GET /v1/services/{service}/settings",
  "PUT /v1/services/{service}/settings",
  "GET /v1/services/{service}/instances",
  "GET /v1/services",
  "GET /v1/namespaces",
  "GET /v1/watch",
  "GET /v1/cluster",
  "POST /v1/cluster/members",
  "POST /v1/cluster/members/{id}/promote",
  "DELETE /v1/cluster/members/{id}",
  "POST /v1/cluster/leader",
  "POST /v1/cluster/compact",
  "GET /livez",
  "GET /readyz",
  "GET /metrics",
  "GET /openapi.json",
];

test("the contract's calls exist", () => {
  for (const call of contract) {
    const [method = "", path = ""] = call.split(" ");
    expect(document.paths[path]?.[method.toLowerCase()], call).toBeDefined();
  }
});

test("operation ids are unique, every path parameter is declared, and every reference leads somewhere", () => {
  const operations = Object.entries<
    Record<string, { operationId: string; parameters: { name: string; in: string }[] }>
  >(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, ...operation })),
  );
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  for (const { path, parameters } of operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name)).toEqual(named);
  }
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
  expect(references.length).toBeGreaterThan(50);
  for (const [, name = ""] of references) {
    expect(document.components.schemas[name], name).toBeDefined();
    expect(document.components.schemas[name].$ref, name).toBeUndefined();
  }
});

test("parameters show the type that their text means, with its bounds and default", () => {
  const { parameters } = document.paths["/v1/services/{service}/instances"].get;
  const shown = Object.fromEntries(
    parameters.map((parameter: { name: string; schema: object }) => [parameter.name, parameter.schema]),
  );
  expect(shown["waitMs"]).toMatchObject({ type: "integer", minimum: 0, maximum: 600_000, default: 5_000 });
  expect(shown["order"]).toMatchObject({
    enum: ["id", "random", "weighted", "roundRobin", "near"],
    default: "id",
  });
  expect(shown["tag"]).toMatchObject({ type: "array" });
  expect(shown).toHaveProperty(["meta.KEY"]);
});

test("the document is served, and says which version of OpenAPI it is", async () => {
  const { get } = await serve();
  const { json, headers } = await get("/openapi.json");
  expect([json.openapi, headers["content-type"]]).toEqual(["3.1.0", "application/json"]);
  expect(json.components.schemas.Registration.additionalProperties).toBe(false);
});

test("every answer under /v1 is documented with the headers that it carries, and no other is", async () => {
  const { get } = await serve();
  const sent = Object.keys((await get("/v1/services")).headers).filter((name) =>
    name.startsWith("rollcall-"),
  );
  expect(sent).toHaveLength(6);
  for (const [path, methods] of Object.entries<object>(document.paths)) {
    for (const { responses } of Object.values(methods)) {
      for (const { headers = {} } of Object.values<{ headers?: object }>(responses)) {
        const names = Object.keys(headers).map((name) => name.toLowerCase());
        const common = names.filter((name) => name.startsWith("rollcall-"));
        expect(common.toSorted(), path).toEqual(path.startsWith("/v1/") ? sent.toSorted() : []);
      }
    }
  }
});

test("an ETag is documented where there is one, and Retry-After where a client is told to wait", () => {
  const headersOf = (path: string, method: string, status: number): object =>
    document.paths[path][method].responses[status].headers;
  const one = "/v1/services/{service}/instances/{id}";
  const list = "/v1/services/{service}/instances";
  for (const [path, method, status] of [
    [one, "put", 201],
    [one, "put", 200],
    [one, "patch", 200],
    [one, "get", 200],
    [list, "get", 200],
    [list, "get", 304],
  ] as const) {
    expect(headersOf(path, method, status), `${method} ${path} ${status}`).toHaveProperty("ETag");
  }
  expect(headersOf(one, "delete", 200)).not.toHaveProperty("ETag");
  for (const status of [429, 503, 507]) expect(headersOf(one, "put", status)).toHaveProperty("Retry-After");
  expect(headersOf(one, "put", 409)).not.toHaveProperty("Retry-After");
});

test("who may send an Idempotency-Key may be told that it was used for something else, and nobody else has one", () => {
  const operations = Object.values<object>(document.paths).flatMap((methods) => Object.values(methods));
  const withKey = operations.filter(({ parameters }) =>
    parameters.some(({ name }: { name: string }) => name === "Idempotency-Key"),
  );
  expect(withKey.length).toBeGreaterThan(5);
  for (const { operationId, responses } of withKey)
    expect(responses["409"]?.description, operationId).toContain("conflict");
  const { put } = document.paths["/v1/services/{service}/instances/{id}/override"];
  expect(put.parameters).toContainEqual(expect.objectContaining({ name: "Idempotency-Key" }));
  const { post } = document.paths["/v1/renewals"];
  expect(post.parameters).not.toContainEqual(expect.objectContaining({ name: "Idempotency-Key" }));
});
