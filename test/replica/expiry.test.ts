/** When a leader proposes that what is overdue goes. */

import { expect, test } from "vitest";
import { defaultRaftConfig } from "../../src/raft/config.ts";
import { Expiry } from "../../src/replica/expiry.ts";
import { aKey, register } from "../support/commands.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";
import { virtualCodec } from "../support/virtual-storage.ts";

function leaderAt(clusterTime: number) {
  const ends: ((isApplied: boolean) => void)[] = [];
  let turns = 0;
  const state = { deadline: 1_000 as number | null, isLeader: true };
  const expiry = new Expiry({
    nextDeadline: () => state.deadline,
    isLeader: () => state.isLeader,
    clusterTime: () => clusterTime,
    propose: (_command, end) => ends.push(end),
    wake: () => (turns += 1),
  });
  return { expiry, state, ends, turns: () => turns };
}

test.each([
  ["before anything is due", 999, {}],
  ["where nothing has a deadline", 5_000, { deadline: null }],
  ["by a member that follows", 5_000, { isLeader: false }],
])("nothing is proposed %s", (_, clusterTime, facts) => {
  const { expiry, state, ends } = leaderAt(clusterTime);
  Object.assign(state, facts);
  expiry.tick();
  expect(ends).toEqual([]);
});

test("one at a time is proposed, and the next in a turn that is asked for when it was applied", () => {
  const { expiry, ends, turns } = leaderAt(1_000);
  expiry.tick();
  expiry.tick();
  expect([ends.length, turns()]).toEqual([1, 0]);
  ends[0]!(true);
  expect(turns()).toBe(1);
  expiry.tick();
  expect(ends).toHaveLength(2);
});

test("one that was refused is proposed again in the next turn, which it does not ask for", () => {
  const { expiry, ends, turns } = leaderAt(1_000);
  expiry.tick();
  ends[0]!(false);
  expiry.tick();
  expect([ends.length, turns()]).toEqual([2, 0]);
});

test("a lease that is renewed while nothing is committed does not run out, however much waits to be", () => {
  const settings = { raft: { ...defaultRaftConfig, uncommittedBytesMax: 20_000 } };
  const cluster = new VirtualCluster({ members: 3, random: seededRandom(6), settings });
  const leader = cluster.waitForLeader();
  const [follower] = cluster.ids.filter((id) => id !== leader);
  cluster.mustSubmit(leader, register("a", { ttlMs: 4_000 }));
  cluster.mustSubmit(leader, register("b", { ttlMs: 4_000 }));
  cluster.messageFilter = ({ type }) => type !== "append";
  const options = { timeoutMs: 60_000, idempotencyKey: null, by: null };
  for (const id of [leader, follower!])
    for (let n = 0; n < 100; n += 1) cluster.replica(id).submit(register(`${id}-${n}`), options, () => {});
  cluster.time.runFor(2_000);

  const renewed: boolean[] = [];
  const renew = (id: string, instance: string): void =>
    cluster
      .replica(id)
      .renew({ key: aKey(instance), incarnation: null, status: null }, 60_000, ({ ok }) => renewed.push(ok));
  renew(leader, "a");
  renew(follower!, "b");
  // Past the deadlines that they had, and not past those that they ask for.
  cluster.time.runFor(3_000);
  cluster.messageFilter = () => true;
  cluster.time.runUntil(() => renewed.length === 2, 5_000, "both renewals are answered");
  expect(renewed).toEqual([true, true]);
  const { registry } = cluster.replica(leader);
  expect([registry.instance(aKey("a")), registry.instance(aKey("b"))]).not.toContain(null);
});

test("what is due goes at its time, whatever waits to be committed and in the queue", () => {
  const settings = { raft: { ...defaultRaftConfig, uncommittedBytesMax: 500 }, pendingWritesMax: 5 };
  const cluster = new VirtualCluster({ members: 3, random: seededRandom(5), settings });
  const leader = cluster.waitForLeader();
  const replica = cluster.replica(leader);
  cluster.mustSubmit(leader, register("a", { ttlMs: 4_000 }));
  const deadline = replica.registry.nextDeadline()!;

  // The leader is heard, and brings no entry to anybody: what clients ask for fills all that may be uncommitted, and then the queue.
  cluster.messageFilter = ({ type }) => type !== "append";
  const options = { timeoutMs: 60_000, idempotencyKey: null, by: null };
  for (let n = 0; n < 10; n += 1) replica.submit(register(`b${n}`), options, () => {});
  cluster.time.runFor(10_000);
  expect(replica.isLeader).toBe(true);
  expect(replica.waiting().writes).toBeGreaterThan(0);

  const { commitIndex, lastIndex } = replica.status;
  const expiries: number[] = [];
  for (let index = commitIndex + 1; index <= lastIndex; index += 1) {
    const entry = replica.core.entryAt(index);
    if (entry?.kind !== "command") continue;
    const [envelope] = virtualCodec.decode(entry.payload).envelopes;
    if (envelope?.command.kind === "expire") expiries.push(entry.clusterTime);
  }
  expect(expiries[0]).toBeGreaterThanOrEqual(deadline);
  expect(expiries[0]).toBeLessThan(deadline + 100);
  // One a second.
  expect(expiries.length).toBeLessThan(12);
  expect(expiries.length).toBeGreaterThan(3);

  cluster.messageFilter = () => true;
  const isGone = (): boolean => replica.registry.instance(aKey("a")) === null;
  cluster.time.runUntil(isGone, 5_000, "the expiry");
});
