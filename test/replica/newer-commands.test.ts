/** What a newer release has written into the log, and this one does not know: whoever skipped it would differ from the others. */

import { expect, test } from "vitest";
import { UnknownCommandError } from "../../src/registry/unknown-command.ts";
import { register } from "../support/commands.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";

test.each([
  ["of a later version", [2, "whatever that may be"]],
  ["of an unknown kind", [1, [["n1", 0, null, null, [99, "?"]]]]],
])("commands %s end every member that comes to apply them, and none goes past them", (_what, batch) => {
  const cluster = new VirtualCluster({ members: 3, random: seededRandom(7) });
  const ended = new Map<string, unknown>();
  cluster.onFatal = (id, error) => ended.set(id, error);
  cluster.mustSubmit(cluster.waitForLeader(), register("a1"));
  cluster.waitForAgreement();
  for (const id of cluster.ids) cluster.crash(id);
  const { entries } = cluster.disks.get("n1")!;
  const last = entries.at(-1)!;
  const unknown = {
    kind: "command",
    term: last.term,
    index: last.index + 1,
    clusterTime: last.clusterTime,
    // As the virtual codec writes it.
    payload: Buffer.from(JSON.stringify(batch)),
  } as const;
  for (const disk of cluster.disks.values()) disk.entries = [...entries, unknown];
  for (const id of cluster.ids) cluster.start(id);
  cluster.time.runUntil(() => ended.size === 3, 20_000, "all of them end");
  // Nor does anybody go past it later.
  cluster.time.runFor(10_000);
  for (const [id, error] of ended) {
    expect(error).toBeInstanceOf(UnknownCommandError);
    expect(cluster.replica(id).status.appliedIndex).toBeLessThanOrEqual(last.index);
    expect(cluster.replica(id).registry.revision).toBe(1);
  }
});
