import fc from "fast-check";
import { expect, test } from "vitest";
import { ClusterClock, electionGraceMs, isClockEntryDue } from "../../src/raft/cluster-clock.ts";
import { defaultRaftConfig } from "../../src/raft/config.ts";
import { RaftNetwork, text } from "../support/raft-network.ts";

function newClock(graceMs = 0): ClusterClock {
  return new ClusterClock({ stampMs: 5000, nowMs: 100, graceMs, stepMaxMs: 1000 });
}

/** Stamps at these times, as milliseconds since the clock's start. */
function stamps(clock: ClusterClock, ...nowMs: number[]): number[] {
  return nowMs.map((now) => clock.advance(now) - 5000);
}

test.each([
  { name: "runs with the leader's clock", at: [100, 150, 850, 1849], expected: [0, 50, 750, 1749] },
  { name: "loses what lies beyond a step", at: [100, 5100, 5200], expected: [0, 1000, 1100] },
  { name: "never goes back", at: [600, 300, 700], expected: [500, 500, 600] },
  { name: "keeps fractions for later", at: [100.4, 100.8, 101.2, 101.9, 102.1], expected: [0, 0, 1, 1, 2] },
])("the clock $name", ({ at, expected }) => {
  expect(stamps(newClock(), ...at)).toEqual(expected);
});

test("during the grace the clock stands still, and the grace is not made up for", () => {
  expect(stamps(newClock(2000), 500, 2099, 2100, 2400)).toEqual([0, 0, 0, 300]);
});

test("what can be read is what the next stamp would be", () => {
  const clock = newClock();
  for (const nowMs of [130, 900.7, 4000, 4000]) {
    const read = clock.read(nowMs);
    expect(clock.advance(nowMs)).toBe(read);
  }
});

test("cluster time is whole, never decreases, and never outruns real time", () => {
  const waits = fc.array(fc.double({ min: 0, max: 3000, noNaN: true }), { maxLength: 50 });
  fc.assert(
    fc.property(waits, fc.nat(500), (gaps, graceMs) => {
      const clock = newClock(graceMs);
      let nowMs = 100;
      let last = 5000;
      for (const gap of gaps) {
        nowMs += gap;
        const stamp = clock.advance(nowMs);
        expect(Number.isInteger(stamp)).toBe(true);
        expect(stamp).toBeGreaterThanOrEqual(last);
        expect(stamp - last).toBeLessThanOrEqual(1000);
        expect(stamp - 5000).toBeLessThanOrEqual(nowMs - 100);
        last = stamp;
      }
    }),
  );
});

test.each([
  { name: "never before, leases exist", leasesExist: true, lastGraceAt: -1, graceMs: 2000 },
  { name: "no lease to protect", leasesExist: false, lastGraceAt: -1, graceMs: 0 },
  { name: "one given 59.999 s ago", leasesExist: true, lastGraceAt: 40_001, graceMs: 0 },
  { name: "one given a minute ago", leasesExist: true, lastGraceAt: 40_000, graceMs: 2000 },
])("grace of an election: $name", ({ leasesExist, lastGraceAt, graceMs }) => {
  expect(electionGraceMs(defaultRaftConfig, { leasesExist, lastStampMs: 100_000, lastGraceAt })).toBe(
    graceMs,
  );
});

test.each([
  [0, false],
  [950, false],
  [951, true],
  [1000, true],
])("a stamp of age %i ms makes a clock entry due: %s", (ageMs, due) => {
  expect(isClockEntryDue(defaultRaftConfig, ageMs)).toBe(due);
});

test("an idle cluster with leases keeps time in its log without losing any", () => {
  const network = new RaftNetwork();
  network.bootstrap(["n1", "n2", "n3"]);
  network.leasesExist = true;
  network.elect("n1");
  for (let i = 0; i < 20 * 60; i += 1) {
    network.tickAll();
    network.settle();
  }
  // A minute, less the grace, and less what has passed since the last stamp.
  expect(network.core("n2").clusterTime(network.nowMs)).toBeGreaterThan(60_000 - 2000 - 1000);
  expect(network.core("n1").clusterTime(network.nowMs)).toBe(60_000 - 2000);
});

test("without leases no clock entries are appended, but other entries carry the time", () => {
  const network = new RaftNetwork();
  network.bootstrap(["n1"]);
  network.elect("n1");
  for (let i = 0; i < 10; i += 1) network.tickAll();
  network.step("n1", { kind: "propose", nowMs: network.nowMs, ctx: 1, payload: text("a"), ifTerm: null });
  expect(network.core("n1").status.lastIndex).toBe(3);
  expect(network.core("n1").entryAt(3)?.clusterTime).toBe(500);
});

test("the next leader goes on from the last stamp, and gives no second grace within a minute", () => {
  const network = new RaftNetwork();
  network.bootstrap(["n1", "n2", "n3"]);
  network.leasesExist = true;
  network.elect("n1");
  for (let i = 0; i < 100; i += 1) {
    network.tickAll();
    network.settle();
  }
  const before = network.core("n2").clusterTime(network.nowMs);
  network.step("n1", { kind: "transfer", nowMs: network.nowMs, to: "n2" });
  network.settle();
  expect(network.leader?.id).toBe("n2");
  expect(network.core("n2").clusterTime(network.nowMs)).toBe(before);
  network.nowMs += 300;
  expect(network.core("n2").clusterTime(network.nowMs)).toBe(before + 300);
});

test("while leadership is handed over no clock entry is appended, and one is when that came to nothing", () => {
  const network = new RaftNetwork();
  network.bootstrap(["n1", "n2", "n3"]);
  network.leasesExist = true;
  network.elect("n1");
  const core = network.core("n1");
  const pass = (ticks: number): void => {
    for (let i = 0; i < ticks; i += 1) {
      network.tickAll();
      network.takeInFlight(({ type }) => type === "timeoutNow");
      network.settle();
    }
  };
  // After the grace, the last stamp is as old as it may be without a new one.
  pass(40 + 18);
  const { lastIndex } = core.status;
  network.step("n1", { kind: "transfer", nowMs: network.nowMs, to: "n2" });
  pass(9);
  expect(core.status).toMatchObject({ role: "leader", transferringTo: "n2", lastIndex });
  pass(1);
  expect(core.status).toMatchObject({ role: "leader", transferringTo: null, lastIndex: lastIndex + 1 });
  expect(core.entryAt(lastIndex + 1)?.kind).toBe("clock");
});
