import { expect, test } from "vitest";
import { serve } from "./harness.ts";

type Named = { readonly name: string };
const names = (rows: readonly Named[]): string => rows.map(({ name }) => name).join(" ");

test("services are listed by name, with counts by status", async () => {
  const { get, register } = await serve();
  await register("a", {}, "web");
  await register("b", { status: "draining" }, "web");
  await register("a", { status: "starting" }, "api");
  const { json } = await get("/v1/services");
  expect([json.revision, names(json.services), json.next]).toEqual([3, "api web", undefined]);
  expect(json.services[1]).toEqual({
    namespace: "default",
    name: "web",
    revision: 2,
    instances: { total: 2, up: 1, starting: 0, draining: 1, down: 0, suspect: 0 },
    protected: false,
  });
});

test("pages follow each other by their cursor, within a prefix and a namespace", async () => {
  const { get, register, ask } = await serve();
  for (const name of ["a", "b.1", "b.2", "b.3", "b.4", "c"]) await register("i", {}, name);
  await ask("PUT", "/v1/namespaces/other/services/b.9/instances/i", { body: { host: "h", port: 1 } });
  const pages: string[] = [];
  let cursor = "";
  do {
    const { json } = await get(`/v1/services?prefix=b.&limit=2${cursor}`);
    pages.push(names(json.services));
    cursor = json.next === undefined ? "" : `&cursor=${json.next}`;
  } while (cursor !== "");
  expect(pages).toEqual(["b.1 b.2", "b.3 b.4"]);
  expect(names((await get("/v1/namespaces/other/services")).json.services)).toBe("b.9");
});

test("a service that became empty is still listed, with the revision of its last change", async () => {
  const { get, register, ask } = await serve();
  await register("a");
  await ask("DELETE", "/v1/services/web/instances/a");
  const [service] = (await get("/v1/services")).json.services;
  expect([service.revision, service.instances.total]).toEqual([2, 0]);
});

test("namespaces are listed with what is in them, in pages too", async () => {
  const { get, ask } = await serve();
  for (const namespace of ["a", "b", "c"])
    await ask("PUT", `/v1/namespaces/${namespace}/services/web/instances/i`, {
      body: { host: "h", port: 1 },
    });
  const first = (await get("/v1/namespaces?limit=2")).json;
  expect([names(first.namespaces), first.next]).toEqual(["a b", "b"]);
  expect(first.namespaces[0]).toEqual({ name: "a", services: 1, instances: 1 });
  const rest = (await get(`/v1/namespaces?limit=2&cursor=${first.next}`)).json;
  expect([names(rest.namespaces), rest.next]).toEqual(["c", undefined]);
});

test("a made-up cursor is refused", async () => {
  const { get } = await serve();
  for (const path of ["/v1/services", "/v1/namespaces", "/v1/services/web/history"])
    expect((await get(`${path}?cursor=%20x`)).json.errors[0].pointer, path).toBe("cursor");
});
