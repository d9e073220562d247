// The registry as a replicated state machine: equal logs make equal registries, wherever a member began.

import fc from "fast-check";
import { expect, test } from "vitest";
import type { Command } from "../../src/registry/commands.ts";
import { FingerprintSum, fingerprint } from "../../src/registry/hash.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { HistoryEvent } from "../../src/registry/view.ts";
import { effective } from "../../src/registry/model.ts";
import { checkProperty } from "../support/property.ts";
import { everything, Harness } from "./harness.ts";
import { entry, type RandomEntry } from "./random-commands.ts";

/** Long enough for things to run out; a failure is shrunk to a short one. */
const log = fc.array(entry, { minLength: 40, maxLength: 60 });

function apply(harness: Harness, one: RandomEntry): unknown {
  harness.now += one.passMs;
  return harness.entry(
    ...one.envelopes.map((envelope) => ({ ...envelope, command: aimed(harness, envelope.command) })),
  );
}

/** Lets most handles, incarnations and connections of a random command meet what there is. */
function aimed(harness: Harness, command: Command): Command {
  const { registry } = harness;
  const listed = registry
    .namespaces()
    .flatMap(({ name }) =>
      ["web", "api"].flatMap((service) => registry.instances(name, service, everything)),
    );
  if (command.kind === "renew") {
    const handles = command.handles.map((handle) =>
      handle % 3 === 0 ? handle : (listed[handle % (listed.length + 1)]?.incarnation ?? handle),
    );
    return { ...command, handles };
  }
  if (command.kind !== "presence") return command;
  const instances = command.instances.map((key) => {
    const isAimed = key.incarnation % 4 !== 0;
    return { ...key, incarnation: (isAimed ? registry.instance(key)?.incarnation : null) ?? key.incarnation };
  });
  const newest = harness.connections;
  return { ...command, instances, connection: Math.max(0, newest - (command.connection >> 1)) };
}

/** The machine may be busy with other tests. */
const timeout = 60_000;

/** Everything that a member can be asked. */
function answers(registry: Registry): unknown {
  return {
    revision: registry.revision,
    clusterTime: registry.clusterTime,
    instanceCount: registry.instanceCount,
    nextDeadline: registry.nextDeadline(),
    events: registry.eventsSince(0),
    namespaces: registry.namespaces(),
    services: ["default", "blue"].flatMap((namespace) =>
      registry.services(namespace, { prefix: "", after: null, limit: 99 }).map((summary) => {
        const instances = registry.instances(namespace, summary.name, everything);
        return {
          summary,
          instances,
          deadlines: instances.map((instance) => registry.deadline(instance)),
          settings: registry.settings(namespace, summary.name),
          history: registry.history(namespace, summary.name, { id: null, beforeRevision: null, limit: 999 }),
        };
      }),
    ),
    unknown: registry.service("default", "unknown"),
  };
}

test(
  "two members that apply the same log agree on results, events, records and hash at every step",
  { timeout },
  () => {
    checkProperty("registry/replay", 40, log, (entries) => {
      const [left, right] = [new Harness(), new Harness()];
      for (const one of entries) {
        expect(apply(left, one)).toEqual(apply(right, one));
        expect(left.events).toEqual(right.events);
        expect(left.registry.stateHash()).toBe(right.registry.stateHash());
        // One asks what is due, as a leader does, and the other never does.
        left.registry.nextDeadline();
        expect(left.registry.takeChanges()).toEqual(right.registry.takeChanges());
      }
      expect(answers(left.registry)).toEqual(answers(right.registry));
    });
  },
);

test(
  "a member loaded from the records at any point goes on exactly like one that never stopped",
  { timeout },
  () => {
    const withRestarts = fc.tuple(log, fc.array(fc.nat(59), { maxLength: 6 }));
    checkProperty("registry/replay", 40, withRestarts, ([entries, restarts]) => {
      const [steady, restarted] = [new Harness(), new Harness()];
      entries.forEach((one, i) => {
        if (restarts.includes(i)) {
          if (i % 2 === 0) restarted.restart();
          else restarted.restartDecoded();
          steady.save();
        }
        expect(answers(restarted.registry)).toEqual(answers(steady.registry));
        expect(apply(restarted, one)).toEqual(apply(steady, one));
        expect(restarted.registry.stateHash()).toBe(steady.registry.stateHash());
      });
      expect(answers(restarted.registry)).toEqual(answers(steady.registry));
      expect(restarted.registry.takeChanges()).toEqual(steady.registry.takeChanges());
    });
  },
);

test(
  "the state hash is that of the records, whenever they are taken: nothing replicated is outside of them",
  { timeout },
  () => {
    checkProperty("registry/replay", 30, log, (entries) => {
      const harness = new Harness();
      entries.forEach((one, i) => {
        apply(harness, one);
        if (i % 3 !== 0) return;
        harness.save();
        const sum = new FingerprintSum();
        for (const [key, value] of harness.records()) sum.add(fingerprint(key, value));
        expect(harness.registry.stateHash()).toBe(sum.text());
      });
    });
  },
);

test(
  "whatever happens, revisions are without gap, counts are right, and the window makes the present of the past",
  { timeout },
  () => {
    checkProperty("registry/replay", 30, log, (entries) => {
      const harness = new Harness();
      const mirror = new Map<string, unknown>();
      for (const one of entries) {
        const before = harness.registry.revision;
        apply(harness, one);
        const { registry } = harness;
        expect(harness.events.map((event) => event.revision)).toEqual(
          Array.from({ length: registry.revision - before }, (_, i) => before + 1 + i),
        );
        for (const event of harness.events) {
          if (event.type === "put") mirror.set(keyOf(event.instance), event.instance);
          if (event.type === "delete") mirror.delete(keyOf(event));
        }
        checkCounts(registry, mirror);
      }
    });
  },
);

test("the random logs reach what they are meant to try", { timeout }, () => {
  const seen = new Map<string, number>();
  const see = (what: string): void => {
    seen.set(what, (seen.get(what) ?? 0) + 1);
  };
  for (const entries of fc.sample(log, { seed: 1, numRuns: 60 })) {
    const harness = new Harness();
    for (const one of entries) {
      const before = harness.registry.revision;
      const servicesBefore = serviceRecords(harness);
      apply(harness, one);
      harness.save();
      if (serviceRecords(harness) < servicesBefore) see("service forgotten");
      for (const key of harness.image.keys()) see(`record ${key.split("/")[0] ?? key}`);
      for (const event of harness.events) if (event.type === "service") see(`protected ${event.protected}`);
      for (const { type, reason } of newHistory(harness, before)) {
        see(`${type}: ${(reason ?? "").replaceAll(/\d+/g, "N")}`);
      }
    }
  }
  const wanted = [
    "record override",
    "record idempotency",
    "record lease-block",
    "protected true",
    "protected false",
    "service forgotten",
    "deregistered: ",
    "override: ended",
    "override: cleared",
    "recovered: renewed",
    "suspect: connection N broke",
    "suspect: protected: too many were due at once",
    "expired: its connection broke and did not come back in time",
    "replaced: registered by another session",
    "replaced: declared anew",
  ];
  expect(wanted.filter((what) => (seen.get(what) ?? 0) < 3)).toEqual([]);
});

function serviceRecords(harness: Harness): number {
  return [...harness.image.keys()].filter((key) => key.startsWith("service/")).length;
}

function newHistory(harness: Harness, after: number): readonly HistoryEvent[] {
  const query = { id: null, beforeRevision: null, limit: 999 };
  return ["web", "api"]
    .flatMap((service) => harness.registry.history("default", service, query))
    .filter(({ revision }) => revision > after);
}

function keyOf(key: { readonly namespace: string; readonly service: string; readonly id: string }): string {
  return `${key.namespace} ${key.service} ${key.id}`;
}

function checkCounts(registry: Registry, mirror: ReadonlyMap<string, unknown>): void {
  expect(registry.instanceCount).toBe(mirror.size);
  for (const namespace of ["default", "blue"]) {
    for (const summary of registry.services(namespace, { prefix: "", after: null, limit: 99 })) {
      const instances = registry.instances(namespace, summary.name, everything);
      for (const instance of instances) expect(mirror.get(keyOf(instance))).toEqual(instance);
      const count = (status: string): number =>
        instances.filter((instance) => effective(instance).status === status).length;
      expect(summary.instances).toEqual({
        total: instances.length,
        up: count("up"),
        starting: count("starting"),
        draining: count("draining"),
        down: count("down"),
        suspect: instances.filter((instance) => instance.suspect).length,
      });
      expect(summary.revision).toBeGreaterThanOrEqual(
        Math.max(0, ...instances.map(({ revision }) => revision)),
      );
    }
  }
}
