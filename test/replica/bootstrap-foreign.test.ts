import { expect, test } from "vitest";
import type { BootstrapClient, BootstrapIdentity } from "../../src/replica/bootstrap-port.ts";
import { foreignCluster } from "../../src/replica/foreign-cluster.ts";

/** What each listed member says: its cluster, null for none, "away" for no answer, "silent" for none yet. */
function clientOf(clusters: Readonly<Record<string, string | null>>): BootstrapClient {
  return {
    promise: () => Promise.reject(new Error("nobody is asked for a promise")),
    identity: ({ id }) => {
      const clusterId = clusters[id] ?? null;
      if (clusterId === "silent") return new Promise(() => {});
      if (clusterId === "away") return Promise.resolve({ kind: "unreachable", reason: "connection refused" });
      return Promise.resolve({ kind: "answer", answer: { clusterId } as BootstrapIdentity });
    },
  };
}

test.each([
  ["most belong to one other cluster", { n2: "other", n3: "other" }, "other"],
  ["one of them belongs to this one", { n2: "other", n3: "ours" }, null],
  ["too few answer to tell", { n2: "other", n3: "away" }, null],
  ["some have not answered in time", { n2: "other", n3: "silent" }, null],
  ["they belong to none yet", { n2: null, n3: null }, null],
  ["they disagree", { n2: "other", n3: "third" }, null],
  ["they belong to this one", { n2: "ours", n3: "ours" }, null],
])("the data folder of a member whose peers are such that %s", async (_, clusters, foreign) => {
  const others = Object.keys(clusters).map((id) => ({ id, peerUrl: `http://${id}` }));
  const scheduler = {
    soon: () => {},
    // As soon as everybody had the chance to answer.
    after: (_ms: number, task: () => void) => {
      const timer = setImmediate(task);
      return () => clearImmediate(timer);
    },
  };
  const found = await foreignCluster("ours", { others, client: clientOf(clusters), scheduler });
  expect(found).toBe(foreign);
});
