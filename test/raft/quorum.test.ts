import fc from "fast-check";
import { expect, test } from "vitest";
import { hasQuorum, quorumSize, quorumValue, voteResult } from "../../src/raft/quorum.ts";
import type { Voters } from "../../src/raft/quorum.ts";
import type { NodeId } from "../../src/raft/types.ts";

const ids = ["a", "b", "c", "d", "e", "f", "g"];

/** Dumb, and right by inspection: try every value, and count who has reached it. */
function countedQuorumValue(voters: Voters, values: ReadonlyMap<NodeId, number>): number {
  const isReached = (half: readonly NodeId[], value: number): boolean => {
    const reached = half.filter((id) => (values.get(id) ?? 0) >= value).length;
    return reached > half.length / 2;
  };
  const candidates = [...values.values()].toSorted((a, b) => b - a);
  const best = candidates.find(
    (value) =>
      isReached(voters.voters, value) && (voters.outgoing.length === 0 || isReached(voters.outgoing, value)),
  );
  return best ?? 0;
}

const half = fc.subarray(ids, { minLength: 1 });
const memberships: fc.Arbitrary<Voters> = fc.record({
  voters: half,
  outgoing: fc.oneof(fc.constant([]), half),
});
const values = fc
  .array(fc.nat(20), { minLength: ids.length, maxLength: ids.length })
  .map((numbers) => new Map(ids.map((id, i) => [id, numbers[i] ?? 0])));

test("the value of a quorum is what counting each value finds", () => {
  fc.assert(
    fc.property(memberships, values, (voters, map) => {
      expect(quorumValue(voters, (id) => map.get(id) ?? 0)).toBe(countedQuorumValue(voters, map));
    }),
    { numRuns: 5000 },
  );
});

test("any two quorums of a membership share a member", () => {
  fc.assert(
    fc.property(memberships, fc.subarray(ids), fc.subarray(ids), (voters, one, other) => {
      fc.pre(hasQuorum(voters, (id) => one.includes(id)) && hasQuorum(voters, (id) => other.includes(id)));
      expect(one.some((id) => other.includes(id))).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test("an election is lost exactly when nobody's change of heart but the refusers' could win it", () => {
  const ballots = fc.array(fc.constantFrom(true, false, undefined), {
    minLength: ids.length,
    maxLength: ids.length,
  });
  fc.assert(
    fc.property(memberships, ballots, (voters, drawn) => {
      const cast = new Map(ids.flatMap((id, i) => (drawn[i] === undefined ? [] : [[id, drawn[i]] as const])));
      const granted = (id: NodeId): boolean => cast.get(id) === true;
      const possible = (id: NodeId): boolean => cast.get(id) !== false;
      const result = voteResult(voters, cast);
      expect(result === "won").toBe(hasQuorum(voters, granted));
      expect(result === "lost").toBe(!hasQuorum(voters, possible));
    }),
    { numRuns: 5000 },
  );
});

test.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
  [6, 4],
  [7, 4],
])("of %i voters %i are a majority", (voters, size) => {
  expect(quorumSize(voters)).toBe(size);
});

test("nobody decides where nobody votes", () => {
  const nobody: Voters = { voters: [], outgoing: [] };
  expect(quorumValue(nobody, () => 9)).toBe(0);
  expect(voteResult(nobody, new Map())).toBe("lost");
});

test("strangers' votes do not count", () => {
  expect(
    voteResult(
      { voters: ["a", "b", "c"], outgoing: [] },
      new Map([
        ["x", true],
        ["y", true],
        ["a", true],
      ]),
    ),
  ).toBe("pending");
});
