// A member whose disk fails takes no part any more and says so; it stays up, so that people can ask it what is wrong.

import { expect, test } from "vitest";
import type { RollcallError } from "../../src/lib/errors.ts";
import type { WriteEnd } from "../../src/replica/pending-write.ts";
import { register } from "../support/commands.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";

const eio = { kind: "failed", message: "syncing the log failed: EIO" } as const;
const parts = ["failure", "imageFailure"] as const;

function clusterOf(): VirtualCluster {
  return new VirtualCluster({ members: 3, random: seededRandom(12) });
}

test.each(parts)("after a disk's %s others lead, and nothing is promised any more", (part) => {
  const cluster = clusterOf();
  const leader = cluster.waitForLeader();
  cluster.mustSubmit(leader, register("a"));
  const replica = cluster.replica(leader);
  cluster.disks.get(leader)![part] = eio;
  replica.submit(register("b"), { timeoutMs: 100, idempotencyKey: null, by: null }, () => {});
  const led = (): boolean => cluster.ids.some((id) => id !== leader && cluster.replica(id).isLeader);
  cluster.time.runUntil(led, 20_000, "another member leads");
  expect(replica.status.storageFailed).toBe(true);
  const problems = replica.readiness().filter(({ ok }) => !ok);
  expect(problems.find(({ name }) => name === "disk")?.detail).toMatch(
    new RegExp(`^syncing the log failed: EIO; .* rollcall member replace ${leader}$`),
  );
  expect(problems.find(({ name }) => name === "leader")?.detail).toContain("since its disk failed");

  cluster.disks.get(leader)![part] = null;
  const told = cluster.submit(leader, register("c"), { timeoutMs: 60_000 });
  expect(told).toMatchObject({ kind: "error", error: { code: "unavailable", outcome: "not_applied" } });

  cluster.restart(leader);
  const isReady = (): boolean =>
    cluster
      .replica(leader)
      .readiness()
      .every(({ ok }) => ok);
  cluster.time.runUntil(isReady, 20_000, "the member is whole on a disk that works");
  cluster.waitForAgreement();
});

test("what waits when the disk fails is answered at once, and only what applied before can still be read", () => {
  const cluster = clusterOf();
  const leader = cluster.waitForLeader();
  cluster.mustSubmit(leader, register("a"));
  cluster.time.runFor(1_000);
  const replica = cluster.replica(leader);
  const ends: WriteEnd[] = [];
  const reads: (RollcallError | null)[] = [];
  const level = { waitMs: 60_000, maxStaleMs: null } as const;
  cluster.disks.get(leader)!.failure = eio;
  replica.submit(register("b"), { timeoutMs: 60_000, idempotencyKey: null, by: null }, (end) =>
    ends.push(end),
  );
  replica.read({ ...level, consistency: "local", minRevision: 1_000 }, (error) => reads.push(error));
  cluster.time.runFor(1_000);
  expect(ends).toMatchObject([{ kind: "error", error: { outcome: "unknown" } }]);
  expect(reads).toHaveLength(1);

  replica.read({ ...level, consistency: "linearizable", minRevision: null }, (error) => reads.push(error));
  replica.read({ ...level, consistency: "local", minRevision: 1_000 }, (error) => reads.push(error));
  replica.read({ ...level, consistency: "local", minRevision: 1 }, (error) => reads.push(error));
  expect(reads.slice(1).map((error) => error?.code ?? "allowed")).toEqual([
    "unavailable",
    "unavailable",
    "allowed",
  ]);
});

test("a leader whose image is damaged on the disk says so, and another one brings the follower up", () => {
  const settings = { retainEntries: 0, imageSyncIntervalMs: 100, flushIntervalMs: 50 };
  const cluster = new VirtualCluster({ members: 3, random: seededRandom(13), settings });
  const leader = cluster.waitForLeader();
  const behind = cluster.ids.find((id) => id !== leader)!;
  cluster.crash(behind);
  for (let n = 0; n < 100; n += 1) cluster.mustSubmit(leader, register(`a${n}`));
  cluster.time.runUntil(() => cluster.replica(leader).status.firstIndex > 50, 60_000, "a compacted log");
  cluster.disks.get(leader)!.imageDamage = { kind: "failed", message: "the record x is damaged" };
  cluster.start(behind);
  cluster.time.runUntil(
    () => cluster.replica(behind).registry.instanceCount === 100,
    60_000,
    `${behind} has got the state from somebody else`,
  );
  const disk = cluster
    .replica(leader)
    .readiness()
    .find(({ name }) => name === "disk");
  expect(disk).toMatchObject({
    ok: false,
    detail: expect.stringContaining("the record x is damaged") as string,
  });
});
