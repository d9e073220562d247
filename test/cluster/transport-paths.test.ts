import { expect, test } from "vitest";
import { TestCluster } from "../support/cluster.ts";
import { registerAll } from "../support/registrations.ts";

const paths = [
  [
    "messages by POST are refused",
    (method: string, path: string) => method === "POST" && path === "/peer/messages",
  ],
  ["streams are refused", (_method: string, path: string) => path === "/peer/stream"],
] as const;

test.each(paths)("the cluster works when %s on the way to every member", async (_, refuses) => {
  const cluster = await TestCluster.start({ proxied: true });
  for (const proxy of cluster.proxies) proxy.refuse(refuses);
  const leader = await cluster.ready();
  const wanted = Array.from({ length: 100 }, (_unused, index) => ({ service: "web", id: `i-${index}` }));
  await registerAll(cluster, wanted, { clients: 8 });
  await cluster.sameState();

  // And elections do.
  await cluster.member(leader).kill();
  const successor = await cluster.leader();
  expect(successor).not.toBe(leader);
  await registerAll(cluster, [{ service: "web", id: "after" }], { clients: 1 });
  await cluster.sameState();

  const passed = new Set(cluster.proxies.flatMap((proxy) => [...proxy.passed.keys()]));
  const refused = [...passed].filter((route) => {
    const [method = "", path = ""] = route.split(" ");
    return refuses(method, path);
  });
  expect(refused).toEqual([]);
  expect([...passed].filter((route) => /\/peer\/(?:messages|stream)/.test(route))).not.toEqual([]);
});
