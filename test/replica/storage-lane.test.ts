import { expect, test } from "vitest";
import type { Message } from "../../src/raft/messages.ts";
import { silentObserver } from "../../src/replica/observer.ts";
import type { LogStore, StorageDone, StorageFailure } from "../../src/replica/ports.ts";
import { StorageLane } from "../../src/replica/storage-lane.ts";
import { VirtualProcess, VirtualTime } from "../support/virtual-time.ts";

interface Bench {
  readonly lane: StorageLane;
  readonly time: VirtualTime;
  readonly pending: StorageDone[];
  readonly sent: string[];
  readonly stored: number[];
  readonly failures: StorageFailure[];
}

function bench(): Bench {
  const time = new VirtualTime();
  const process = new VirtualProcess(time);
  const pending: StorageDone[] = [];
  const sent: string[] = [];
  const stored: number[] = [];
  const failures: StorageFailure[] = [];
  const log = {
    persist: (_write: unknown, done: StorageDone) => void pending.push(done),
  } as unknown as LogStore;
  const lane = new StorageLane({
    onWritten: () => {},
    log,
    clock: process,
    scheduler: process,
    observer: silentObserver,
    diskFullRetryMs: 1000,
    send: (message) => sent.push(message.to),
    onStored: (seq) => stored.push(seq),
    onFailed: (failure) => failures.push(failure),
  });
  return { lane, time, pending, sent, stored, failures };
}

const persist = (seq: number) =>
  ({ kind: "persist", seq, hardState: null, truncateAfter: null, entries: [] }) as const;
const to = (member: string): Message => ({
  type: "removed",
  from: "n1",
  to: member,
  term: 1,
  membershipIndex: 1,
});

test("a message waits for the writes that it depends on, and no longer", () => {
  const { lane, pending, sent, stored } = bench();
  lane.persist(persist(1));
  lane.persist(persist(2));
  lane.send(to("now"), 0);
  lane.send(to("after 2"), 2);
  lane.send(to("after 1"), 1);
  expect(sent).toEqual(["now"]);
  pending[0]!(null);
  expect(sent).toEqual(["now", "after 1"]);
  pending[1]!(null);
  expect(sent).toEqual(["now", "after 1", "after 2"]);
  expect(stored).toEqual([1, 2]);
});

test("a full disk holds the lane; what was not written is handed over again, in order, when it is tried next", () => {
  const { lane, time, pending, stored, sent } = bench();
  const full: StorageFailure = { kind: "full", message: "no space left on device" };
  lane.persist(persist(1));
  lane.persist(persist(2));
  lane.send(to("n2"), 2);
  pending[0]!(full);
  pending[1]!(full);
  lane.persist(persist(3));
  expect(lane.full).toBe(true);
  expect(pending).toHaveLength(2);
  time.runFor(1000);
  expect(lane.full).toBe(false);
  expect(pending).toHaveLength(5);
  for (const done of pending.slice(2)) done(null);
  expect(stored).toEqual([1, 2, 3]);
  expect(sent).toEqual(["n2"]);
});

test("after a failed write nothing is sent, stored or written any more", () => {
  const { lane, pending, sent, stored, failures } = bench();
  lane.persist(persist(1));
  lane.send(to("n2"), 1);
  pending[0]!({ kind: "failed", message: "input/output error" });
  lane.persist(persist(2));
  lane.send(to("n3"), 0);
  expect(failures).toHaveLength(1);
  expect([sent, stored, pending.length]).toEqual([[], [], 1]);
});
