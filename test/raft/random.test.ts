/**
 * Random clusters, from a seed each. A failure names its seed; `RAFT_SEED=<seed>` runs that one alone, `RAFT_SEEDS=<count>` more of them.
 */

import { expect, test } from "vitest";
import { RandomCluster } from "./random-cluster.ts";

const steps = Number(process.env["RAFT_STEPS"] ?? 1500);
const seeds = Number(process.env["RAFT_SEEDS"] ?? 60);
const only = process.env["RAFT_SEED"];
const first = only === undefined ? 1 : Number(only);
const last = only === undefined ? seeds : first;

function runSeed(seed: number): RandomCluster {
  try {
    const cluster = new RandomCluster(seed);
    cluster.run(steps);
    cluster.settle();
    return cluster;
  } catch (cause) {
    throw new Error(
      `seed=${seed}; replay with RAFT_SEED=${seed} RAFT_STEPS=${steps} npm run unit -- raft/random`,
      { cause },
    );
  }
}

test(
  "whatever the weather, members never disagree, and in good weather they go on (paper Figure 3)",
  { timeout: 600_000 },
  () => {
    const marks = new Map<string, number>();
    for (let seed = first; seed <= last; seed += 1) {
      for (const [name, count] of runSeed(seed).checker.marks)
        marks.set(name, (marks.get(name) ?? 0) + count);
    }
    if (only !== undefined) return;
    // A test that never meets the rare cases is blind for them.
    const rare = [
      "truncated",
      "crash",
      "rot",
      "recovered",
      "snapshot fetched",
      "membershipChanged",
      "removed",
      "transferStarted",
      "leader read",
      "follower read",
    ];
    expect(rare.filter((name) => !marks.has(name))).toEqual([]);
  },
);
