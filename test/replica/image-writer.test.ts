import { expect, test } from "vitest";
import { Applier } from "../../src/replica/applier.ts";
import { ImageWriter } from "../../src/replica/image-writer.ts";
import { silentObserver } from "../../src/replica/observer.ts";
import type { StateBatch, StateStore, StorageDone, StorageFailure } from "../../src/replica/ports.ts";
import { Proposals } from "../../src/replica/proposals.ts";
import { eventKey } from "../../src/registry/event-pages.ts";
import { registryLimits } from "../../src/registry/model.ts";
import { Registry } from "../../src/registry/registry.ts";
import type { Entry } from "../../src/raft/types.ts";
import { commandVersion } from "../../src/registry/commands.ts";
import { register } from "../support/commands.ts";
import { emptyBase, virtualCodec } from "../support/virtual-storage.ts";
import { VirtualProcess, VirtualTime } from "../support/virtual-time.ts";

function bench() {
  const time = new VirtualTime();
  const clock = new VirtualProcess(time);
  let isReplaying = false;
  const writes: { readonly batch: StateBatch; readonly done: StorageDone }[] = [];
  const synced: number[] = [];
  const failures: StorageFailure[] = [];
  const applier = new Applier({
    registry: new Registry(),
    base: emptyBase,
    codec: virtualCodec,
    proposals: new Proposals(),
    onEvents: () => {},
    onApplied: () => {},
  });
  const state = {
    write: (batch: StateBatch, done: StorageDone) => void writes.push({ batch, done }),
  } as unknown as StateStore;
  const writer = new ImageWriter({
    applier,
    state,
    clock,
    scheduler: clock,
    observer: silentObserver,
    flushIntervalMs: 100,
    flushRecordsMax: 40,
    isReplaying: () => isReplaying,
    replayRecordsMax: 200,
    syncIntervalMs: 1000,
    fullRetryMs: 500,
    writtenIndex: 0,
    onSynced: (index) => synced.push(index),
    onFailed: (failure) => failures.push(failure),
  });
  const apply = (id: string, clusterTime = 0): void => {
    const { last } = applier.base;
    const envelope = { command: register(id), member: "n1", at: 0, idempotencyKey: null, by: null };
    const payload = virtualCodec.encode({ version: commandVersion, envelopes: [envelope] });
    const entry: Entry = { kind: "command", term: 1, index: last.index + 1, clusterTime, payload };
    applier.apply([entry]);
  };
  const pass = (ms: number): void => {
    time.runFor(ms);
    writer.tick(time.nowMs);
  };
  const replay = (is: boolean): void => void (isReplaying = is);
  return { writer, writes, synced, failures, apply, pass, replay };
}

const keysOf = (batch: StateBatch): string[] =>
  batch.puts.map(([key]) => key).filter((key) => key.startsWith("instance/"));

test("many changes are written without waiting for the interval, but not while a full disk is left alone", () => {
  const { writes, apply, pass } = bench();
  apply("a");
  pass(1);
  expect(writes).toHaveLength(0);
  for (let i = 0; i < 20; i += 1) apply(`b${i}`);
  pass(1);
  expect(keysOf(writes[0]!.batch)).toHaveLength(21);
  writes[0]!.done({ kind: "full", message: "no room" });
  for (let i = 0; i < 20; i += 1) apply(`c${i}`);
  pass(1);
  expect(writes).toHaveLength(1);
});

test("nothing is written while the log is replayed, until it ends or much has changed", () => {
  const { writes, apply, pass, replay } = bench();
  replay(true);
  for (let i = 0; i < 60; i += 1) apply(`a${i}`);
  pass(5000);
  expect(writes).toHaveLength(0);
  for (let i = 0; i < 60; i += 1) apply(`b${i}`);
  pass(1);
  expect(keysOf(writes[0]!.batch)).toHaveLength(120);
  writes[0]!.done(null);
  apply("c");
  pass(5000);
  expect(writes).toHaveLength(1);
  replay(false);
  pass(99);
  expect(writes).toHaveLength(1);
  pass(1);
  expect(keysOf(writes[1]!.batch)).toEqual(["instance/default/web/c"]);
});

test("what a long replay changed is made into one batch over several turns, and synced, so that its log may go", () => {
  const { writes, synced, apply, pass, replay } = bench();
  replay(true);
  for (let i = 0; i < 5_000; i += 1) apply(`a${i}`);
  replay(false);
  pass(100);
  expect(writes).toHaveLength(0);
  apply("later");
  pass(0);
  expect(writes).toHaveLength(1);
  const { base, sync } = writes[0]!.batch;
  expect(keysOf(writes[0]!.batch)).toHaveLength(5_000);
  expect(base.last.index).toBe(5_000);
  expect(sync).toBe(true);
  writes[0]!.done(null);
  expect(synced).toEqual([5_000]);
});

test("changes are collected for the interval, and one batch is under way at a time", () => {
  const { writes, apply, pass } = bench();
  apply("a");
  apply("b");
  pass(99);
  expect(writes).toHaveLength(0);
  pass(1);
  expect(keysOf(writes[0]!.batch)).toHaveLength(2);
  expect(writes[0]!.batch.base.last.index).toBe(2);
  apply("c");
  pass(100);
  expect(writes).toHaveLength(1);
  writes[0]!.done(null);
  pass(100);
  expect(keysOf(writes[1]!.batch)).toEqual([expect.stringContaining("/c")]);
});

test("the log may go only up to a synced batch", () => {
  const { writes, synced, apply, pass } = bench();
  apply("a");
  pass(100);
  writes[0]!.done(null);
  expect(synced).toEqual([]);
  pass(1000);
  expect(writes[1]!.batch.sync).toBe(true);
  writes[1]!.done(null);
  expect(synced).toEqual([1]);
});

test("what a full disk did not take is part of the next batch", () => {
  const { writer, writes, failures, apply, pass } = bench();
  apply("a");
  pass(100);
  writes[0]!.done({ kind: "full", message: "no space left on device" });
  expect(writer.full).toBe(true);
  apply("b");
  pass(499);
  expect(writes).toHaveLength(1);
  pass(1);
  expect(keysOf(writes[1]!.batch)).toHaveLength(2);
  writes[1]!.done(null);
  expect(writer.full).toBe(false);
  expect(failures).toMatchObject([{ kind: "full" }]);
});

test("after a failed batch nothing is written any more, and whoever waits for it is told", () => {
  const { writer, writes, apply, pass } = bench();
  const ends: (StorageFailure | null)[] = [];
  apply("a");
  writer.sync((failure) => ends.push(failure));
  writes[0]!.done({ kind: "failed", message: "input/output error" });
  writer.sync((failure) => ends.push(failure));
  expect(ends).toMatchObject([{ kind: "failed" }, { kind: "failed" }]);
  apply("b");
  pass(1000);
  expect(writes).toHaveLength(1);
});

test("while another image is put in its place nothing is written, and a pause waits for the batch under way", () => {
  const { writer, writes, apply, pass } = bench();
  let isPaused = false;
  apply("a");
  pass(100);
  writer.pause(() => (isPaused = true));
  expect(isPaused).toBe(false);
  writes[0]!.done(null);
  expect(isPaused).toBe(true);
  apply("b");
  pass(1000);
  expect(writes).toHaveLength(1);
  writer.resumeAt(1);
  pass(100);
  expect(writes).toHaveLength(2);
});

test("an image from another member loses the events that left the window before changes were taken for it", () => {
  const { writer, writes, apply, pass } = bench();
  apply("a");
  writer.pause(() => {});
  apply("b");
  writer.resumeAt(1);
  apply("c", registryLimits.eventsKeptMs);
  pass(100);
  expect(writes[0]!.batch.deletes).toEqual([eventKey(1), eventKey(2)]);
});
