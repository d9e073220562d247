// A transfer of leadership as its operator sees it: answered when the other member leads, or with why it does not.

import { beforeEach, expect, test } from "vitest";
import type { RollcallError } from "../../src/lib/errors.ts";
import { seededRandom } from "../support/random.ts";
import { VirtualCluster } from "../support/virtual-cluster.ts";

let cluster: VirtualCluster;
let leader: string;
let followers: readonly string[];

beforeEach(() => {
  cluster = new VirtualCluster({ members: 3, random: seededRandom(17) });
  leader = cluster.waitForLeader();
  followers = cluster.ids.filter((id) => id !== leader);
  cluster.time.runFor(1_000);
});

/** Asks `at`, and tells how it ended and who led then, as `at` saw it. */
function transfer(at: string, to: string | null, timeoutMs = 5_000): string {
  let ended: { readonly error: RollcallError | null; readonly leads: string | null } | null = null;
  cluster.replica(at).transferLeadership(to, timeoutMs, (error) => {
    ended = { error, leads: cluster.replica(at).leader() };
  });
  cluster.time.runUntil(() => ended !== null, timeoutMs + 1_000, "the transfer is answered");
  const { error, leads } = ended!;
  return error === null ? `${leads} leads` : `${error.code} (${error.outcome})`;
}

test("is answered when the member that was asked follows the new leader, wherever it was asked", () => {
  const [one = "", other = ""] = followers;
  expect(transfer(leader, one)).toBe(`${one} leads`);
  expect(transfer(other, leader)).toBe(`${leader} leads`);
  expect(transfer(other, other)).toBe(`${other} leads`);
});

test("to nobody in particular ends when somebody else leads", () => {
  expect(followers.map((id) => `${id} leads`)).toContain(transfer(leader, null));
});

test("to the member that leads already is done at once", () => {
  expect(transfer(followers[0]!, leader, 1)).toBe(`${leader} leads`);
});

test.each([0, 1])("says so when it did not come about, and the leader leads on (asked at %i)", (asked) => {
  const [target = "", other = ""] = followers;
  cluster.crash(target);
  expect(transfer([leader, other][asked]!, target)).toBe("conflict (not_applied)");
  expect(cluster.replica(leader).isLeader).toBe(true);
});

test("says within its time that it may yet come about", () => {
  const [target = ""] = followers;
  cluster.messageFilter = ({ type }) => type !== "timeoutNow";
  expect(transfer(leader, target, 300)).toBe("commit_timeout (unknown)");
});
