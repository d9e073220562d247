import { expect, test } from "vitest";
import { defaultRaftConfig } from "../../src/raft/config.ts";
import { Inflight, Progress } from "../../src/raft/progress.ts";

/** A follower of a leader whose log ends at 10. */
function newProgress(): Progress {
  return new Progress({ id: "n2", nextIndex: 11, config: defaultRaftConfig });
}

function replicating(matchIndex: number): Progress {
  const progress = newProgress();
  progress.matched(matchIndex);
  progress.becomeReplicate();
  return progress;
}

function positions({ state, matchIndex, nextIndex }: Progress): unknown {
  return [state, matchIndex, nextIndex];
}

test("a probe is refused and the next one starts where the logs can agree at best", () => {
  const progress = newProgress();
  progress.becomePaused();
  progress.refused(10, 4);
  expect(positions(progress)).toEqual(["probe", 0, 5]);
  expect(progress.isPaused).toBe(false);
});

test("a probe goes back by at least one", () => {
  const progress = newProgress();
  progress.refused(10, 10);
  expect(positions(progress)).toEqual(["probe", 0, 10]);
});

test("a refusal of anything but the last probe is old", () => {
  const progress = newProgress();
  progress.refused(9, 3);
  expect(positions(progress)).toEqual(["probe", 0, 11]);
});

test("a refusal at or below matchIndex is old, in every state", () => {
  const progress = replicating(7);
  progress.refused(7, 2);
  expect(positions(progress)).toEqual(["replicate", 7, 8]);
  progress.becomeProbe(8);
  progress.refused(7, 2);
  expect(positions(progress)).toEqual(["probe", 7, 8]);
});

test("what was sent ahead and refused is probed for, never below matchIndex", () => {
  const progress = replicating(7);
  progress.sentUpTo(10, 100);
  progress.refused(10, 3);
  expect(positions(progress)).toEqual(["probe", 7, 8]);
  expect(progress.inflight.count).toBe(0);
});

test("acknowledgements are cumulative, and late ones change nothing", () => {
  const progress = replicating(2);
  progress.sentUpTo(4, 10);
  progress.sentUpTo(6, 10);
  progress.sentUpTo(8, 10);
  progress.matched(6);
  expect(positions(progress)).toEqual(["replicate", 6, 9]);
  expect([progress.inflight.count, progress.inflight.bytes]).toEqual([1, 10]);
  progress.matched(4);
  expect(positions(progress)).toEqual(["replicate", 6, 9]);
});

test("while an image is on its way, refusals change nothing", () => {
  const progress = replicating(2);
  progress.becomeSnapshot();
  progress.refused(9, 1);
  expect(positions(progress)).toEqual(["snapshot", 2, 3]);
});

test("a follower that lost its memory starts from nothing, and may go back until it counts again", () => {
  const progress = replicating(7);
  progress.forget(10);
  expect(positions(progress)).toEqual(["probe", 0, 11]);
  // An acknowledgement from before the loss arrives late, and is then refuted.
  progress.matched(7);
  progress.refused(10, 3);
  expect(positions(progress)).toEqual(["probe", 3, 4]);
});

test.each([
  { name: "messages", sent: [1, 1, 1] },
  { name: "bytes", sent: [60, 60] },
])("the window is full by $name, and free again when acknowledged", ({ sent }) => {
  const inflight = new Inflight({ inflightMessagesMax: 3, inflightBytesMax: 100 });
  sent.forEach((bytes, i) => {
    expect(inflight.isFull).toBe(false);
    inflight.add(i + 1, bytes);
  });
  expect(inflight.isFull).toBe(true);
  inflight.acknowledge(1);
  expect(inflight.isFull).toBe(false);
  inflight.clear();
  expect([inflight.count, inflight.bytes]).toEqual([0, 0]);
});
