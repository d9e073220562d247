import { expect, test } from "vitest";
import { registryLimits } from "../../src/registry/model.ts";
import { aKey, register, renewOne } from "../support/commands.ts";
import { anEnvelope, Harness } from "./harness.ts";

const { ttlMsMax, eventsKept, eventsKeptMs } = registryLimits;

function revisions(harness: Harness, after: number): readonly number[] | null {
  return harness.registry.eventsSince(after)?.map((event) => event.revision) ?? null;
}

test("there is exactly one event for each revision, those of the service included", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.ok(renewOne("a"));
  harness.ok({
    kind: "setSettings",
    namespace: "default",
    service: "web",
    changes: { protectionMinInstances: 2 },
  });
  harness.ok({ kind: "deregister", ...aKey("a"), incarnation: null });
  expect(revisions(harness, 0)).toEqual([1, 2, 3]);
  expect(harness.registry.eventsSince(0)?.map((event) => event.type)).toEqual(["put", "service", "delete"]);
  expect(revisions(harness, 2)).toEqual([3]);
});

test("a cursor at the newest revision or beyond it has missed nothing", () => {
  const harness = new Harness();
  expect(revisions(harness, 0)).toEqual([]);
  harness.ok(register("a"));
  expect(revisions(harness, 1)).toEqual([]);
  expect(revisions(harness, 7)).toEqual([]);
});

test("a replacement under the same id is one put", () => {
  const harness = new Harness();
  harness.ok(register("a"));
  harness.ok({ ...register("a"), session: "s2" });
  expect(harness.registry.eventsSince(1)).toEqual([
    { type: "put", revision: 2, instance: harness.find(aKey("a")) },
  ]);
});

test("events leave the window after ten minutes; a cursor before it needs a snapshot", () => {
  const harness = new Harness();
  harness.ok(register("a", { ttlMs: ttlMsMax }));
  harness.now = 1_000;
  harness.ok(register("b", { ttlMs: ttlMsMax }));
  harness.pass(eventsKeptMs - 1_001);
  expect(revisions(harness, 0)).toEqual([1, 2]);
  harness.pass(1);
  expect(revisions(harness, 0)).toBeNull();
  expect(revisions(harness, 1)).toEqual([2]);
  harness.pass(1_000);
  expect(revisions(harness, 1)).toBeNull();
  expect(revisions(harness, 2)).toEqual([]);
  harness.ok(register("c", { ttlMs: ttlMsMax }));
  expect(revisions(harness, 2)).toEqual([3]);
});

test("an event that has left before the image had it leaves no trace in the records, and one after it does", () => {
  const harness = new Harness();
  harness.ok(register("a", { ttlMs: ttlMsMax }));
  harness.save();
  harness.ok(register("b", { ttlMs: ttlMsMax }));
  harness.pass(eventsKeptMs);
  harness.ok(register("c", { ttlMs: ttlMsMax }));
  const { puts, deletes } = harness.registry.takeChanges();
  const events = (keys: readonly string[]): readonly string[] =>
    keys.filter((key) => key.startsWith("event/"));
  expect(events(deletes)).toEqual([`event/${"1".padStart(16, "0")}`]);
  expect(events(puts.map(([key]) => key))).toEqual([`event/${"3".padStart(16, "0")}`]);
});

test.each([
  ["was received", false],
  ["was made, and since", true],
])("an image from another member loses the events that left the window while it %s", (_, alsoBefore) => {
  const [member, other] = [new Harness(), new Harness()];
  const both = (id: string): void => {
    for (const harness of [member, other]) harness.ok(register(id, { ttlMs: ttlMsMax }));
  };
  both("a");
  member.save();
  both("b");
  if (alsoBefore) for (const harness of [member, other]) harness.pass(eventsKeptMs);
  both("c");
  other.save();
  // The log brings the member beyond the image while it becomes durable.
  both("d");
  member.image.clear();
  for (const [key, value] of other.image) member.image.set(key, value);
  member.registry.imageReplaced();
  for (const harness of [member, other]) harness.pass(eventsKeptMs);
  both("e");
  member.restart();
  other.save();
  expect(member.records()).toEqual(other.records());
  expect(member.registry.stateHash()).toBe(other.registry.stateHash());
});

test("only so many events are kept, and the window is the same after a restart", () => {
  const harness = new Harness();
  const perEntry = 1_000;
  const flip = (i: number): ReturnType<typeof anEnvelope> =>
    anEnvelope({ ...renewOne("a"), status: i % 2 === 0 ? "down" : "up" });
  harness.ok(register("a"));
  for (let done = 0; done < eventsKept; done += perEntry) {
    harness.entry(...Array.from({ length: perEntry }, (_, i) => flip(i)));
    harness.save();
  }
  const check = (): void => {
    expect(harness.registry.revision).toBe(eventsKept + 1);
    expect(revisions(harness, 0)).toBeNull();
    expect(revisions(harness, 1)).toHaveLength(eventsKept);
    expect(revisions(harness, eventsKept - 1)).toEqual([eventsKept, eventsKept + 1]);
  };
  check();
  const hash = harness.registry.stateHash();
  const events = harness.registry.eventsSince(eventsKept - 5);
  harness.restart();
  check();
  expect(harness.registry.eventsSince(eventsKept - 5)).toEqual(events);
  expect(harness.registry.stateHash()).toBe(hash);
});
