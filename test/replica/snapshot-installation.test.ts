// A follower that has fallen behind the log builds the state of a snapshot in many turns, each of which comes late. Every test begins when it
// has the whole image on its disk, and none of the new state.

import { beforeEach, expect, test } from "vitest";
import { deregister, register } from "../support/commands.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";

const before = 5;
const after = 100;
/** Of each turn of the member that installs. At ten steps a turn the build alone takes more than a second. */
const turnMs = 20;

let cluster: VirtualCluster;
let leader: string;
let behind: string;

function count(id: string): number {
  return cluster.replica(id).registry.instanceCount;
}

function beginBuild(changes = after): void {
  cluster = new VirtualCluster({
    members: 3,
    random: seededRandom(7),
    settings: { retainEntries: 20, imageSyncIntervalMs: 100, flushIntervalMs: 50, loadStepsPerTurn: 10 },
  });
  leader = cluster.waitForLeader();
  behind = cluster.ids.find((id) => id !== leader)!;
  for (let n = 0; n < before; n += 1) cluster.mustSubmit(leader, register(`old-${n}`));
  cluster.waitForAgreement();
  cluster.isolate(behind);
  for (let n = 0; n < changes; n += 1) cluster.mustSubmit(leader, register(`new-${n}`));
  cluster.time.runUntil(() => cluster.replica(leader).status.firstIndex > 50, 60_000, "a compacted log");
  // So that the image has all of it, and none is offered that was opened before.
  cluster.time.runFor(6_000);
  cluster.heal();
  const imageOf = (id: string): number => cluster.disks.get(id)!.image.base.last.index;
  const { lastIndex } = cluster.replica(behind).status;
  cluster.time.runUntil(() => imageOf(behind) > lastIndex, 5_000, "a received image");
  cluster.overload(behind, turnMs);
}

beforeEach(() => beginBuild());

test("it answers from its old state and hears its leader meanwhile, and then has all of the new one at once", () => {
  const { time } = cluster;
  time.runUntil(() => cluster.replica(behind).leader() === leader, 5_000, "a leader that is heard again");
  const counts = new Set<number>();
  const leaders = new Set<string | null>();
  const beganMs = time.nowMs;
  while (count(behind) < before + after && time.nowMs - beganMs < 60_000) {
    counts.add(count(behind));
    leaders.add(cluster.replica(behind).leader());
    time.step();
  }
  expect(time.nowMs - beganMs).toBeGreaterThan(1_000);
  expect([...counts]).toEqual([before]);
  expect([...leaders]).toEqual([leader]);
  expect(count(behind)).toBe(before + after);
  cluster.waitForAgreement();
});

test("what is written meanwhile follows once the new state is there", () => {
  cluster.time.runFor(700);
  expect(count(behind)).toBe(before);
  cluster.mustSubmit(leader, register("meanwhile"));
  cluster.mustSubmit(leader, deregister("old-0"));
  expect(count(behind)).toBe(before);
  cluster.waitForAgreement(60_000);
  expect(count(behind)).toBe(before + after);
});

test.each([0, 200, 700, 1_200, 1_600])(
  "a crash %i ms after it began leaves a member that comes to the same state",
  (ms) => {
    cluster.time.runFor(ms);
    expect(count(behind)).toBe(before);
    cluster.restart(behind);
    cluster.waitForAgreement(60_000);
    expect(count(behind)).toBe(before + after);
  },
);

test("a new leader meanwhile takes it along", () => {
  cluster.time.runFor(700);
  expect(count(behind)).toBe(before);
  cluster.crash(leader);
  cluster.time.runUntil(
    () => cluster.running.some((id) => cluster.replica(id).isLeader),
    60_000,
    "another leader",
  );
  cluster.waitForAgreement(60_000);
  expect(count(behind)).toBe(before + after);
});

test("a graceful stop meanwhile waits for the end of it", () => {
  cluster.time.runFor(700);
  let isStopped = false;
  cluster.replica(behind).stop(() => (isStopped = true));
  cluster.time.runUntil(() => isStopped, 60_000, "the end of the stop");
  cluster.restart(behind);
  cluster.waitForAgreement(60_000);
  expect(count(behind)).toBe(before + after);
});

test("a disk that breaks meanwhile holds up neither who compacts nor a graceful stop", () => {
  const member = cluster.replica(behind);
  const ended: string[] = [];
  member.compact((_index, failure) => ended.push(failure?.message ?? "compacted"));
  cluster.time.runFor(700);
  cluster.disks.get(behind)!.failure = { kind: "failed", message: "EIO" };
  cluster.time.runUntil(() => !member.readiness().every(({ ok }) => ok), 60_000, "a member that knows of it");
  member.stop(() => ended.push("stopped"));
  cluster.time.runUntil(() => ended.length === 2, 10_000, "the end of both");
  expect(ended).toEqual(["EIO", "stopped"]);
});

test.each([
  { changes: 1_000, told: 1_000 },
  { changes: 1_001, told: 0 },
])("of $changes changes at once listeners are told $told", ({ changes, told }) => {
  beginBuild(changes);
  cluster.overload(behind, 0);
  const heard: number[] = [];
  cluster.replica(behind).onEvents((events) => heard.push(events.length));
  cluster.waitForAgreement(60_000);
  expect(cluster.replica(behind).registry.revision).toBe(before + changes);
  expect(heard).toEqual([told]);
});

test("what is offered once it has ended is not as old as its beginning", () => {
  const offered: number[] = [];
  cluster.messageFilter = (message) => {
    if (message.type === "snapshotOffer") offered.push(message.meta.last.index);
    return true;
  };
  cluster.overload(behind, 100);
  for (let n = 0; n < 70; n += 1) {
    cluster.mustSubmit(leader, register(`later-${n}`));
    cluster.time.runFor(100);
  }
  expect(count(behind)).toBe(before);
  expect(offered.at(-1)).toBeGreaterThan(offered[0]! + 40);
  cluster.overload(behind, 0);
  cluster.waitForAgreement(60_000);
});
