/** When a member says where it is reached. */

import { expect, test } from "vitest";
import { RollcallError } from "../../src/lib/errors.ts";
import type { MembershipChange } from "../../src/raft/io.ts";
import type { Membership } from "../../src/raft/types.ts";
import { OwnAddresses } from "../../src/replica/own-addresses.ts";
import { defaultReplicaSettings } from "../../src/replica/settings.ts";

const self = { id: "n1", incarnation: "i1", peerUrl: "http://new:1", clientUrl: "http://new:2" };
const elsewhere = { ...self, peerUrl: "http://old:1" };
const membershipOf = (...members: Membership["members"]): Membership => ({
  voters: members.map(({ id }) => id),
  outgoing: [],
  learners: [],
  members,
});

interface Asked {
  readonly change: MembershipChange;
  readonly end: (error: RollcallError | null) => void;
}

function member(state: { membership: Membership; leader: string | null }) {
  const asked: Asked[] = [];
  const waiting: (() => void)[] = [];
  let announced = 0;
  const addresses = new OwnAddresses({
    self,
    replica: {
      get membership() {
        return state.membership;
      },
      leader: () => state.leader,
      changeMembership: (change, _timeoutMs, end) => asked.push({ change, end }),
    },
    settings: defaultReplicaSettings,
    scheduler: {
      after: (_ms, task) => {
        waiting.push(task);
        return () => {};
      },
    },
    announced: () => (announced += 1),
  });
  return { addresses, asked, waiting, announced: () => announced };
}

test.each([
  ["it is reached where the membership says", membershipOf(self), "n2"],
  ["there is no leader", membershipOf(elsewhere), null],
  ["it belongs to no cluster", membershipOf(), "n2"],
  ["the membership names another incarnation", membershipOf({ ...elsewhere, incarnation: "i2" }), "n2"],
])("a member says nothing while %s", (_, membership, leader) => {
  const { addresses, asked } = member({ membership, leader });
  addresses.tick();
  expect(asked).toEqual([]);
});

test("a member that is reached elsewhere says so until it is committed, one try at a time", () => {
  const state = { membership: membershipOf(elsewhere), leader: "n2" };
  const { addresses, asked, waiting, announced } = member(state);
  addresses.tick();
  addresses.tick();
  expect(asked.map(({ change }) => change)).toEqual([{ kind: "readdress", ...self }]);
  asked[0]?.end(new RollcallError("unavailable", "another change is under way"));
  addresses.tick();
  expect([asked.length, waiting.length, announced()]).toEqual([1, 1, 0]);
  waiting[0]?.();
  addresses.tick();
  expect(asked).toHaveLength(2);
  state.membership = membershipOf(self);
  asked[1]?.end(null);
  waiting[1]?.();
  addresses.tick();
  expect([asked.length, announced()]).toEqual([2, 1]);
});
