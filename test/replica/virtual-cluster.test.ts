import { beforeEach, expect, test } from "vitest";
import { defaultRaftConfig } from "../../src/raft/config.ts";
import type { ReadOptions, RenewalResult } from "../../src/replica/member.ts";
import type { RollcallError } from "../../src/lib/errors.ts";
import type { Patch } from "../../src/registry/commands.ts";
import type { WriteEnd } from "../../src/replica/pending-write.ts";
import { aKey, deregister, register } from "../support/commands.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualCluster, type VirtualClusterOptions } from "../support/virtual-cluster.ts";

let cluster: VirtualCluster;

beforeEach(() => {
  cluster = start({});
});

function start(options: Partial<VirtualClusterOptions>): VirtualCluster {
  return new VirtualCluster({ members: 3, random: seededRandom(7), ...options });
}

function others(leader: string): [string, string] {
  const [one, other] = cluster.ids.filter((id) => id !== leader);
  return [one!, other!];
}

function read(id: string, options: Partial<ReadOptions>): RollcallError | null | undefined {
  let answer: RollcallError | null | undefined;
  cluster
    .replica(id)
    .read(
      { consistency: "local", minRevision: null, waitMs: 1000, maxStaleMs: null, ...options },
      (error) => {
        answer = error;
      },
    );
  cluster.time.runUntil(() => answer !== undefined, 5000, `an answer to a read at ${id}`);
  return answer;
}

function renew(id: string, instance: string, timeoutMs = 5000): RenewalResult {
  let answer: RenewalResult | null = null;
  cluster.replica(id).renew({ key: aKey(instance), incarnation: null, status: null }, timeoutMs, (result) => {
    answer = result;
  });
  cluster.time.runUntil(() => answer !== null, timeoutMs + 1000, `an answer to a renewal at ${id}`);
  return answer!;
}

const listed = (id: string): string[] => {
  const filter = { statuses: null, tags: [], version: null, zone: null, metadata: [] };
  return cluster
    .replica(id)
    .registry.instances("default", "web", filter)
    .map((instance) => instance.id);
};

test("a write at any member is answered when that member itself can show it", () => {
  cluster.waitForLeader();
  for (const id of cluster.ids) {
    cluster.mustSubmit(id, register(`a-${id}`));
    expect(listed(id)).toContain(`a-${id}`);
  }
  cluster.waitForAgreement();
  for (const id of cluster.ids) expect(listed(id)).toEqual(["a-n1", "a-n2", "a-n3"]);
});

test("writes that arrive together become one log entry", () => {
  const leader = cluster.waitForLeader();
  const before = cluster.replica(leader).status.lastIndex;
  let answered = 0;
  for (let n = 0; n < 200; n += 1) {
    cluster
      .replica(leader)
      .submit(register(`a${n}`), { timeoutMs: 1000, idempotencyKey: null, by: null }, () => (answered += 1));
  }
  cluster.time.runUntil(() => answered === 200, 1000, "200 answers");
  expect(cluster.replica(leader).status.lastIndex - before).toBeLessThanOrEqual(3);
  expect(listed(leader)).toHaveLength(200);
});

test("a member cut off from the majority refuses a write as not applied, and nothing comes of it later", () => {
  const leader = cluster.waitForLeader();
  const [alone] = others(leader);
  cluster.isolate(alone);
  cluster.time.runFor(3000);
  const end = cluster.submit(alone, register("lost"), { timeoutMs: 500 });
  expect(end).toMatchObject({ kind: "error", error: { code: "no_leader", outcome: "not_applied" } });
  cluster.heal();
  cluster.waitForAgreement();
  expect(listed(leader)).toEqual([]);
});

test("a write appended by a leader that is then cut off is unknown in time, and its fate is decided by the log", () => {
  const old = cluster.waitForLeader();
  cluster.isolate(old);
  const end = cluster.submit(old, register("maybe"), { timeoutMs: 500 });
  expect(end).toMatchObject({ kind: "error", error: { code: "commit_timeout", outcome: "unknown" } });
  const [one] = others(old);
  cluster.time.runUntil(
    () => cluster.replica(one).leader() !== old && cluster.replica(one).leader() !== null,
    10_000,
    "another leader",
  );
  cluster.mustSubmit(one, register("sure"));
  cluster.heal();
  cluster.waitForAgreement();
  expect(listed(old)).toEqual(["sure"]);
});

test("a write that was overwritten finds the next leader while it has time, and takes effect once", () => {
  const old = cluster.waitForLeader();
  cluster.isolate(old);
  let end: unknown = null;
  cluster
    .replica(old)
    .submit(register("late"), { timeoutMs: 30_000, idempotencyKey: null, by: null }, (answer) => {
      end = answer;
    });
  const [one] = others(old);
  cluster.time.runUntil(
    () => cluster.replica(one).isLeader || cluster.replica(others(old)[1]).isLeader,
    10_000,
    "another leader",
  );
  cluster.mustSubmit(one, register("first"));
  cluster.heal();
  cluster.time.runUntil(() => end !== null, 30_000, "an answer to the overwritten write");
  expect(end).toMatchObject({ kind: "result", result: { ok: true, created: true } });
  cluster.waitForAgreement();
  for (const id of cluster.ids) expect(listed(id)).toEqual(["first", "late"]);
});

test("a forward whose answer is lost is unknown, unless an idempotency key makes a second try harmless", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  let losses = 1;
  cluster.replyFilter = (_to, request) => (request.kind === "propose" && losses-- > 0 ? "lost" : "delivered");
  const unknown = cluster.submit(follower, register("a"), { timeoutMs: 400 });
  expect(unknown).toMatchObject({ kind: "error", error: { outcome: "unknown" } });
  losses = 1;
  const revision = cluster.replica(leader).registry.revision;
  let end: unknown = null;
  cluster
    .replica(follower)
    .submit(deregister("a"), { timeoutMs: 2000, idempotencyKey: "k1", by: null }, (answer) => (end = answer));
  cluster.time.runUntil(
    () => cluster.replica(follower).registry.revision > revision,
    1000,
    "the deregistration at the follower",
  );
  expect(end).toBeNull();
  cluster.crash(leader);
  cluster.time.runUntil(() => end !== null, 5000, "an answer to the keyed write");
  expect(end).toMatchObject({
    kind: "result",
    result: { ok: true, kind: "deregister", revision: revision + 1 },
  });
});

test("many renewals within the window make one entry, and each is answered", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  for (let n = 0; n < 100; n += 1) cluster.mustSubmit(leader, register(`a${n}`, {}, "web"));
  cluster.waitForAgreement();
  const before = cluster.replica(leader).status.lastIndex;
  const results: RenewalResult[] = [];
  for (let n = 0; n < 100; n += 1) {
    cluster
      .replica(follower)
      .renew({ key: aKey(`a${n}`), incarnation: null, status: null }, 1000, (result) => results.push(result));
  }
  cluster.time.runUntil(() => results.length === 100, 1000, "100 renewals");
  expect(results.every((result) => result.ok)).toBe(true);
  expect(cluster.replica(leader).status.lastIndex - before).toBeLessThanOrEqual(3);
});

test("a forwarded write ends at its own time, and takes none from those that it travels with", () => {
  cluster = start({ latencyMs: 50 });
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  const ends: Record<string, WriteEnd> = {};
  const submit = (id: string, timeoutMs: number): void =>
    cluster
      .replica(follower)
      .submit(register(id), { timeoutMs, idempotencyKey: null, by: null }, (end) => (ends[id] = end));
  submit("hasty", 20);
  submit("patient", 5000);
  cluster.time.runUntil(() => Object.keys(ends).length === 2, 6000, "both answers");
  expect(ends["hasty"]).toMatchObject({ kind: "error", error: { outcome: "unknown" } });
  expect(ends["patient"]).toMatchObject({ kind: "result", result: { ok: true } });
});

test("a renewal ends at its own time, and takes none from those that it travels with", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  cluster.mustSubmit(leader, register("a"));
  cluster.mustSubmit(leader, register("b"));
  cluster.waitForAgreement();
  cluster.isolate(follower);
  cluster.time.runFor(3000);
  const endedAt: Record<string, number> = {};
  const startedAt = cluster.time.nowMs;
  const ask = (id: string, timeoutMs: number): void =>
    cluster
      .replica(follower)
      .renew({ key: aKey(id), incarnation: null, status: null }, timeoutMs, (result) => {
        expect(result).toMatchObject({ ok: false });
        endedAt[id] = cluster.time.nowMs - startedAt;
      });
  ask("a", 300);
  ask("b", 8000);
  cluster.time.runUntil(() => Object.keys(endedAt).length === 2, 9000, "both answers");
  expect(endedAt["a"]).toBeLessThan(400);
  expect(endedAt["b"]).toBeGreaterThanOrEqual(8000);
});

test("beyond openRenewalsMax a renewal is refused as overloaded", () => {
  cluster = start({ settings: { openRenewalsMax: 2 } });
  const leader = cluster.waitForLeader();
  const results: RenewalResult[] = [];
  for (const id of ["a", "b", "c"]) {
    cluster
      .replica(leader)
      .renew({ key: aKey(id), incarnation: null, status: null }, 500, (result) => results.push(result));
  }
  expect(results).toMatchObject([{ ok: false, code: "overloaded", outcome: "not_applied" }]);
  cluster.time.runUntil(() => results.length === 3, 2000, "the others");
  expect(renew(leader, "a")).toMatchObject({ code: "not_registered" });
});

test("a renewal answers with the lease's own TTL, also on a member that has not seen it change", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  cluster.mustSubmit(leader, register("a", { ttlMs: 60_000 }));
  cluster.waitForAgreement();
  cluster.messageFilter = (message) => message.type !== "append" || message.to !== follower;
  const patch: Patch = {
    kind: "patch",
    ...aKey("a"),
    changes: { ttlMs: 5000 },
    incarnation: null,
    ifRevision: null,
  };
  cluster.mustSubmit(leader, patch);
  expect(cluster.replica(follower).registry.instance(aKey("a"))?.declared.ttlMs).toBe(60_000);
  expect(renew(follower, "a")).toMatchObject({ ok: true, ttlMs: 5000 });
});

test("a renewal of what nobody registered is not_registered; of an older incarnation it is superseded", () => {
  const leader = cluster.waitForLeader();
  expect(renew(leader, "ghost")).toMatchObject({ ok: false, code: "not_registered" });
  const first = cluster.mustSubmit(leader, register("a"));
  cluster.mustSubmit(leader, { ...register("a"), session: "s2" });
  const incarnation = first.kind === "register" ? first.instance.incarnation : 0;
  let answer: RenewalResult | null = null;
  cluster
    .replica(leader)
    .renew({ key: aKey("a"), incarnation, status: null }, 1000, (result) => (answer = result));
  cluster.time.runUntil(() => answer !== null, 2000, "an answer");
  expect(answer).toMatchObject({ ok: false, code: "superseded" });
});

test("an instance that is not renewed leaves after its TTL and within a second, never before", () => {
  const leader = cluster.waitForLeader();
  cluster.mustSubmit(leader, register("a", { ttlMs: 2000 }));
  const registeredAt = cluster.time.nowMs;
  cluster.time.runUntil(() => listed(leader).length === 0, 20_000, "the expiry");
  const lived = cluster.time.nowMs - registeredAt;
  expect(lived).toBeGreaterThanOrEqual(2000);
  expect(lived).toBeLessThan(2000 + 2000 + 1000);
});

test("an acknowledged renewal survives the leader that acknowledged it", () => {
  const settings = { raft: { ...defaultRaftConfig, electionGraceMs: 0 } };
  cluster = start({ settings });
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  cluster.mustSubmit(leader, register("a", { ttlMs: 4000 }));
  cluster.waitForAgreement();
  cluster.time.runFor(3600);
  expect(renew(follower, "a")).toMatchObject({ ok: true });
  const renewedAt = cluster.time.nowMs;
  cluster.crash(leader);
  cluster.time.runUntil(() => !listed(follower).includes("a"), 30_000, "the expiry after the renewal");
  expect(cluster.time.nowMs - renewedAt).toBeGreaterThanOrEqual(4000);
});

test("members that are killed and restarted together have everything acknowledged, at the same state", () => {
  const leader = cluster.waitForLeader();
  for (let n = 0; n < 50; n += 1) cluster.mustSubmit(cluster.ids[n % 3]!, register(`a${n}`));
  cluster.waitForAgreement();
  const hash = cluster.replica(leader).registry.stateHash();
  const revision = cluster.replica(leader).registry.revision;
  for (const id of cluster.ids) cluster.crash(id);
  for (const id of cluster.ids) cluster.start(id);
  cluster.waitForLeader();
  cluster.waitForAgreement();
  for (const id of cluster.ids) {
    expect(listed(id)).toHaveLength(50);
    expect(cluster.replica(id).registry.revision).toBe(revision);
  }
  expect(hash).toMatch(/^[0-9a-f]{16}$/);
});

test("a member whose disk was rolled back notices, is brought up by the same leader, and counts again", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  cluster.mustSubmit(leader, register("a"));
  cluster.waitForAgreement();
  const older = structuredClone(cluster.disks.get(follower)!);
  for (let n = 0; n < 20; n += 1) cluster.mustSubmit(leader, register(`b${n}`));
  cluster.waitForAgreement();
  cluster.crash(follower);
  Object.assign(cluster.disks.get(follower)!, older);
  cluster.start(follower);
  cluster.time.runUntil(() => cluster.replica(follower).status.recovering, 5000, "the loss found out");
  cluster.time.runUntil(() => !cluster.replica(follower).status.recovering, 20_000, "its vote back");
  cluster.waitForAgreement();
  expect(cluster.replica(leader).isLeader).toBe(true);
  expect(listed(follower)).toHaveLength(21);
});

test("a follower that the log no longer reaches back to is brought up by a snapshot", () => {
  cluster = start({ settings: { retainEntries: 0, imageSyncIntervalMs: 100, flushIntervalMs: 50 } });
  const leader = cluster.waitForLeader();
  const [behind] = others(leader);
  cluster.crash(behind);
  for (let n = 0; n < 100; n += 1) cluster.mustSubmit(leader, register(`a${n}`));
  cluster.time.runUntil(() => cluster.replica(leader).status.firstIndex > 50, 60_000, "a compacted log");
  cluster.start(behind);
  cluster.waitForAgreement();
  expect(listed(behind)).toHaveLength(100);
  cluster.mustSubmit(behind, register("after"));
  cluster.restart(behind);
  cluster.waitForAgreement();
  expect(listed(behind)).toHaveLength(101);
});

test("a snapshot whose transfer breaks is asked for again at once", () => {
  cluster = start({ settings: { retainEntries: 0, imageSyncIntervalMs: 100, flushIntervalMs: 50 } });
  const leader = cluster.waitForLeader();
  const [behind] = others(leader);
  cluster.crash(behind);
  for (let n = 0; n < 100; n += 1) cluster.mustSubmit(leader, register(`a${n}`));
  cluster.time.runUntil(() => cluster.replica(leader).status.firstIndex > 50, 60_000, "a compacted log");
  cluster.fetchesToBreak = 2;
  cluster.start(behind);
  const before = cluster.time.nowMs;
  cluster.waitForAgreement();
  expect(cluster.fetchesToBreak).toBe(0);
  expect(cluster.time.nowMs - before).toBeLessThan(5000);
});

test("a linearizable read at a follower sees what was acknowledged elsewhere, and is refused by a minority", () => {
  const leader = cluster.waitForLeader();
  const [follower, other] = others(leader);
  cluster.mustSubmit(leader, register("a"));
  expect(read(follower, { consistency: "linearizable" })).toBeNull();
  expect(listed(follower)).toEqual(["a"]);
  cluster.isolate(other);
  expect(read(other, { consistency: "linearizable", waitMs: 500 })).toMatchObject({
    code: "no_leader",
    outcome: "none",
  });
});

test("beyond waitingReadsMax a read is refused as overloaded", () => {
  cluster = start({ settings: { waitingReadsMax: 2 } });
  const leader = cluster.waitForLeader();
  cluster.isolate(leader);
  const options = { consistency: "linearizable", minRevision: null, waitMs: 300, maxStaleMs: null } as const;
  const codes: (string | undefined)[] = [];
  for (let n = 0; n < 3; n += 1) cluster.replica(leader).read(options, (error) => codes.push(error?.code));
  expect(codes).toEqual(["overloaded"]);
  cluster.time.runUntil(() => codes.length === 3, 2000, "the end of the reads that waited");
  expect(read(leader, { consistency: "linearizable", waitMs: 100 })).toMatchObject({ code: "no_leader" });
});

test("a leader that stops with nobody there to take over does not wait", () => {
  const leader = cluster.waitForLeader();
  for (const other of others(leader)) cluster.crash(other);
  let isStopped = false;
  cluster.replica(leader).stop(() => (isStopped = true));
  const before = cluster.time.nowMs;
  cluster.time.runUntil(() => isStopped, 5000, "the stop");
  expect(cluster.time.nowMs - before).toBeLessThan(100);
});

test("a deposed leader that has not noticed does not confirm a linearizable read", () => {
  const old = cluster.waitForLeader();
  cluster.isolate(old);
  expect(read(old, { consistency: "linearizable", waitMs: 300 })).toMatchObject({ code: "no_leader" });
});

test("minRevision waits for the revision, and says so when it does not come", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  cluster.mustSubmit(leader, register("a"));
  const { revision } = cluster.replica(leader).registry;
  expect(read(follower, { minRevision: revision })).toBeNull();
  expect(read(follower, { minRevision: revision + 1, waitMs: 200 })).toMatchObject({
    code: "revision_not_reached",
  });
});

test("staleness is known under a leader, grows on a member that is cut off, and maxStaleMs refuses it", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  cluster.time.runFor(1000);
  expect(cluster.replica(follower).staleMs()).toBeLessThan(500);
  cluster.isolate(follower);
  cluster.time.runFor(5000);
  expect(cluster.replica(follower).staleMs()).toBeGreaterThanOrEqual(4800);
  expect(read(follower, { maxStaleMs: 1000 })).toMatchObject({ code: "too_stale", outcome: "none" });
});

test("a leader that stops hands over first, and writes go on at once", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  let isStopped = false;
  cluster.replica(leader).stop(() => (isStopped = true));
  cluster.time.runUntil(() => isStopped, 5000, "the stop");
  cluster.crash(leader);
  const before = cluster.time.nowMs;
  cluster.mustSubmit(follower, register("a"));
  expect(cluster.time.nowMs - before).toBeLessThan(500);
});

test("a full disk holds writes back and lets them through when there is room", () => {
  cluster = start({ members: 1 });
  const leader = cluster.waitForLeader();
  const disk = cluster.disks.get(leader)!;
  disk.failure = { kind: "full", message: "no space left on device" };
  let end: unknown = null;
  cluster
    .replica(leader)
    .submit(register("a"), { timeoutMs: 10_000, idempotencyKey: null, by: null }, (answer) => (end = answer));
  cluster.time.runFor(500);
  expect(end).toBeNull();
  expect(cluster.submit(leader, register("b"), { timeoutMs: 100 })).toMatchObject({
    kind: "error",
    error: { code: "storage_full" },
  });
  disk.failure = null;
  cluster.time.runUntil(() => end !== null, 5000, "the held write");
  expect(end).toMatchObject({ kind: "result", result: { ok: true } });
});

test("a member whose disk fails leads no more, and the others go on", () => {
  const leader = cluster.waitForLeader();
  const [follower] = others(leader);
  cluster.disks.get(leader)!.failure = { kind: "failed", message: "input/output error" };
  cluster
    .replica(leader)
    .submit(register("a"), { timeoutMs: 1000, idempotencyKey: null, by: null }, () => {});
  cluster.time.runUntil(
    () => cluster.replica(follower).leader() !== leader && cluster.replica(follower).leader() !== null,
    10_000,
    "another leader",
  );
  cluster.mustSubmit(follower, register("b"));
  expect(
    cluster
      .replica(leader)
      .readiness()
      .find((check) => check.name === "disk"),
  ).toMatchObject({ ok: false });
});
