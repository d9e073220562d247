// Slow, hanging and full disks, and states that differ: what members make of them together.

import { beforeEach, expect, test } from "vitest";
import { defaultReplicaSettings } from "../../src/replica/settings.ts";
import { deregister, register } from "../support/commands.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";

const settings = { diskSoftBytes: 1_000, diskReserveBytes: 100, hashEveryEntries: 8 };

let cluster: VirtualCluster;

beforeEach(() => {
  cluster = new VirtualCluster({ members: 3, random: seededRandom(11), settings });
});

function write(at: string, count: number): void {
  for (let i = 0; i < count; i += 1) cluster.mustSubmit(at, register(`a${i % 5}`, { weight: 1 + (i % 90) }));
}

function refused(at: string): string {
  const end = cluster.submit(at, register("more"), { timeoutMs: 200 });
  return end.kind === "error" ? `${end.error.code}: ${end.error.message}` : "applied";
}

test("a leader whose disk is slow hands over to the fastest member, once", () => {
  const leader = cluster.waitForLeader();
  const [one = "", other = ""] = cluster.ids.filter((id) => id !== leader);
  cluster.disks.get(leader)!.syncMs = 200;
  cluster.disks.get(one)!.syncMs = 20;
  write(leader, 20);
  cluster.time.runUntil(() => cluster.replica(other).isLeader, 10_000, `${other} leads`);

  // The next one becomes as slow, and the first one fast again: within a minute nothing changes hands again.
  expect(handOvers()).toBe(1);
  cluster.disks.get(leader)!.syncMs = 200;
  write(other, 20);
  cluster.time.runFor(5_000);
  expect(handOvers()).toBe(1);
  expect(cluster.replica(other).isLeader).toBe(true);
});

test("a hand-over that did not come about is soon followed by one to another member", () => {
  const leader = cluster.waitForLeader();
  const [one = "", other = ""] = cluster.ids.filter((id) => id !== leader);
  cluster.disks.get(leader)!.syncMs = 200;
  // The fastest one takes everything, and never hears that it is to lead.
  cluster.messageFilter = ({ type, to }) => type !== "timeoutNow" || to !== one;
  cluster.disks.get(other)!.syncMs = 20;
  write(leader, 20);
  const aborted = (): boolean =>
    cluster.events.some(({ event }) => event.kind === "transferAborted" && event.to === one);
  cluster.time.runUntil(aborted, 10_000, `the hand-over to ${one} is given up`);
  cluster.time.runUntil(() => cluster.replica(other).isLeader, 10_000, `${other} leads`);
  expect(handOvers()).toBe(2);
});

test.each([1, 3])(
  "a leader whose loop is slow stays, though a write waits for %d rounds of it",
  (stepsPerWrite) => {
    const leader = cluster.waitForLeader();
    for (const disk of cluster.disks.values()) disk.syncMs = 2;
    cluster.disks.get(leader)!.stepsPerWrite = stepsPerWrite;
    cluster.slowDown(leader, 200);
    write(leader, 20);
    cluster.time.runFor(10_000);
    expect(cluster.events.filter(({ event }) => event.kind === "transferStarted")).toEqual([]);
    expect(cluster.replica(leader).isLeader).toBe(true);
  },
);

/** How often anybody has begun to hand over. */
function handOvers(): number {
  return cluster.events.filter(({ event }) => event.kind === "transferStarted").length;
}

function waitForOtherLeader(than: string): string {
  const others = cluster.ids.filter((id) => id !== than);
  cluster.time.runUntil(() => others.some((id) => cluster.replica(id).isLeader), 20_000, "another leader");
  return cluster.waitForLeader();
}

test("a leader whose loop stays far behind hands over to a member whose loop does not, once", () => {
  const leader = cluster.waitForLeader();
  cluster.slowDown(leader, 320);
  const next = waitForOtherLeader(leader);
  expect(handOvers()).toBe(1);

  // Somebody gives it leadership back: within a minute it does not hand over again.
  cluster.replica(next).transferLeadership(leader, 5_000, () => {});
  cluster.time.runUntil(() => cluster.replica(leader).isLeader, 5_000, "the late member leads again");
  cluster.time.runFor(30_000);
  expect(handOvers()).toBe(2);
});

test("a leader stays when all loops are equally far behind", () => {
  const leader = cluster.waitForLeader();
  for (const id of cluster.ids) cluster.slowDown(id, 320);
  cluster.time.runFor(20_000);
  expect(handOvers()).toBe(0);
  expect(cluster.replica(leader).isLeader).toBe(true);
});

test("a leader that cannot apply as fast as the cluster commits hands over to one that can", () => {
  const raft = { ...defaultReplicaSettings.raft, applyEntriesMax: 1 };
  const oneByOne = { raft, entryCommandsMax: 1 };
  cluster = new VirtualCluster({ members: 3, random: seededRandom(11), settings: oneByOne });
  const leader = cluster.waitForLeader();
  const [follower = ""] = cluster.ids.filter((id) => id !== leader);
  // Its turns are not late enough to say anything, but each applies one entry, and more than one is committed meanwhile.
  cluster.overload(leader, 100);
  const write = { timeoutMs: 1_000, idempotencyKey: null, by: null };
  for (let i = 0; handOvers() === 0 && i < 1_000; i += 1) {
    cluster.replica(follower).submit(register(`a${i % 7}`, { weight: i % 90 }), write, () => {});
    cluster.time.runFor(20);
  }
  expect(waitForOtherLeader(leader)).not.toBe(leader);
  expect(handOvers()).toBe(1);
});

test("a leader stays when all disks are equally slow", () => {
  const leader = cluster.waitForLeader();
  for (const disk of cluster.disks.values()) disk.syncMs = 150;
  write(leader, 20);
  cluster.time.runFor(10_000);
  expect(cluster.replica(leader).isLeader).toBe(true);
});

test("a leader whose disk hangs leads no more, does not campaign meanwhile, and may again afterwards", () => {
  const leader = cluster.waitForLeader();
  cluster.mustSubmit(leader, register("a"));
  cluster.time.runFor(3_000);
  cluster.disks.get(leader)!.isHanging = true;
  cluster.time.runUntil(
    () => cluster.running.some((id) => id !== leader && cluster.replica(id).isLeader),
    defaultReplicaSettings.diskStallMs + 8_000,
    "another leader",
  );
  const next = cluster.waitForLeader();
  cluster.mustSubmit(next, register("b"));

  // Alone with its hanging disk it does not even ask.
  const before = cluster.events.length;
  cluster.isolate(leader);
  cluster.time.runFor(10_000);
  const campaigns = cluster.events.slice(before).filter(({ member, event }) => {
    return member === leader && event.kind === "roleChanged" && event.role !== "follower";
  });
  expect(campaigns).toEqual([]);

  cluster.heal();
  cluster.disks.get(leader)!.isHanging = false;
  cluster.waitForAgreement();
  expect(
    cluster
      .replica(leader)
      .readiness()
      .find(({ name }) => name === "disk")?.ok,
  ).toBe(true);
});

test("with little room growth is refused everywhere, and what shrinks goes on", () => {
  const leader = cluster.waitForLeader();
  const [follower = ""] = cluster.ids.filter((id) => id !== leader);
  cluster.mustSubmit(leader, register("a"));
  cluster.freeBytes = () => 999;
  cluster.time.runFor(3_000);
  expect(refused(leader)).toContain(`storage_full: the disk of ${leader}`);
  expect(refused(follower)).toContain(`storage_full: the disk of ${follower}`);
  cluster.mustSubmit(follower, deregister("a"));

  // A little more than the limit is not enough, or it would come and go.
  cluster.freeBytes = () => 1_001;
  cluster.time.runFor(3_000);
  expect(refused(leader)).toContain("storage_full");
  cluster.freeBytes = () => 1_200;
  cluster.time.runFor(3_000);
  expect(refused(leader)).toBe("applied");
});

test("a leader without room hands over to a member with room, once, and the others grow on", () => {
  const leader = cluster.waitForLeader();
  const [one = "", other = ""] = cluster.ids.filter((id) => id !== leader);
  cluster.freeBytes = (id) => (id === other ? 1_000_000 : 10);
  cluster.time.runUntil(() => cluster.replica(other).isLeader, 10_000, `${other} leads`);
  cluster.freeBytes = (id) => (id === leader ? 10 : 1_000_000);
  cluster.time.runFor(3_000);
  expect(refused(other)).toBe("applied");
  expect(refused(leader)).toContain(`the disk of ${leader}`);

  // The next one fills up too: within a minute leadership stays where it is.
  cluster.freeBytes = (id) => (id === one ? 1_000_000 : 10);
  cluster.time.runFor(10_000);
  expect(cluster.replica(other).isLeader).toBe(true);
});

test("one follower without room does not keep the others from growing", () => {
  const leader = cluster.waitForLeader();
  const [one = "", other = ""] = cluster.ids.filter((id) => id !== leader);
  cluster.freeBytes = (id) => (id === one ? 10 : 1_000_000);
  cluster.time.runFor(3_000);
  expect(refused(other)).toBe("applied");
  expect(refused(one)).toContain(`the disk of ${one}`);
  // Two of three could not follow: then nothing may grow.
  cluster.freeBytes = (id) => (id === leader ? 1_000_000 : 10);
  cluster.time.runFor(3_000);
  expect(refused(leader)).toContain("storage_full");
});

test("a full disk gives the reserve back, and it is set aside again once there is room", () => {
  const leader = cluster.waitForLeader();
  cluster.freeBytes = () => 0;
  cluster.disks.get(leader)!.failure = { kind: "full", message: "ENOSPC" };
  cluster
    .replica(leader)
    .submit(deregister("x"), { timeoutMs: 10, idempotencyKey: null, by: null }, () => {});
  cluster.time.runFor(3_000);
  expect(cluster.reserves).toContain(`${leader} released`);
  cluster.disks.get(leader)!.failure = null;
  cluster.freeBytes = () => 1_000_000;
  cluster.time.runFor(3_000);
  expect(cluster.reserves.at(-1)).toContain("restored");
  const at = cluster.waitForLeader();
  expect(refused(at)).toBe("applied");
});

test("an image that found no room is written once there is some, without a restart", () => {
  const leader = cluster.waitForLeader();
  cluster.mustSubmit(leader, register("a"));
  cluster.mustSubmit(leader, register("b"));
  cluster.time.runFor(2_000);
  const disk = cluster.disks.get(leader)!;
  disk.imageFailure = { kind: "full", message: "ENOSPC" };
  cluster.mustSubmit(leader, deregister("a"));
  cluster.mustSubmit(leader, register("c"));
  cluster.time.runFor(2_000);
  expect(refused(leader)).toContain("storage_full");
  cluster.mustSubmit(leader, deregister("b"));
  cluster.time.runFor(2_000);
  disk.imageFailure = null;
  cluster.time.runFor(5_000);
  expect(refused(leader)).toBe("applied");
  cluster.time.runFor(3_000);
  const instances = [...disk.image.records.keys()].filter((key) => key.startsWith("instance/"));
  expect(instances.toSorted()).toEqual(["instance/default/web/c", "instance/default/web/more"]);
  cluster.restart(leader);
  cluster.waitForLeader();
  cluster.waitForAgreement();
});

test("a member whose state differs from the majority's ends, and says at which entry", () => {
  const leader = cluster.waitForLeader();
  const [odd = ""] = cluster.ids.filter((id) => id !== leader);
  const ended: string[] = [];
  cluster.onFatal = (member, error) => {
    ended.push(`${member}: ${(error as Error).message}`);
    cluster.crash(member);
  };
  write(leader, 30);
  cluster.waitForAgreement();
  expect(ended).toEqual([]);

  const { registry } = cluster.replica(odd);
  registry.apply({ version: 1, envelopes: [envelope()] }, registry.clusterTime);
  write(leader, 30);
  cluster.time.runUntil(() => ended.length > 0, 10_000, "the odd one ends");
  expect(ended).toHaveLength(1);
  expect(ended[0]).toMatch(new RegExp(`^${odd}: the state after entry \\d+ has the hash`));
  cluster.mustSubmit(leader, register("z"));
});

function envelope(): Parameters<
  ReturnType<VirtualCluster["replica"]>["registry"]["apply"]
>[0]["envelopes"][0] {
  return { command: register("planted"), member: "n1", at: 0, idempotencyKey: null, by: null };
}
