// The clever state machine against one that anybody can verify by eye: a list of instances with deadlines, searched from end to end.

import fc from "fast-check";
import { expect, test } from "vitest";
import type { InstanceStatus } from "../../src/registry/model.ts";
import { aKey, deregister, register, renewOne } from "../support/commands.ts";
import { checkProperty } from "../support/property.ts";
import { Harness } from "./harness.ts";

interface Simple {
  readonly id: string;
  session: string;
  body: string;
  status: InstanceStatus;
  incarnation: number;
  revision: number;
  ttlMs: number;
  deadline: number;
}

/** Fewer than five instances: protection has no say here. */
const ids = ["a", "b", "c", "d"] as const;
const id = fc.constantFrom(...ids);
const ttlMs = fc.constantFrom(1_000, 2_000, 5_000);

const step = fc.oneof(
  fc.record({
    do: fc.constant("register" as const),
    id,
    session: fc.constantFrom("s1", "s2"),
    host: fc.constantFrom("h1", "h2"),
    ttlMs,
  }),
  fc.record({ do: fc.constant("renew" as const), handles: fc.array(fc.nat(30), { maxLength: 8 }) }),
  fc.record({ do: fc.constant("status" as const), id, status: fc.constantFrom("up", "draining") }),
  fc.record({ do: fc.constant("deregister" as const), id, incarnation: fc.option(fc.nat(30)) }),
  fc.record({ do: fc.constant("expire" as const) }),
  fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 500, 999, 1_000, 3_000) }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

class Model {
  instances: Simple[] = [];
  revision = 0;
  now = 0;

  take(one: Step): void {
    switch (one.do) {
      case "register":
        return this.#register(one);
      case "renew":
        return this.instances
          .filter(({ incarnation }) => one.handles.includes(incarnation))
          .forEach((instance) => this.#renew(instance));
      case "status": {
        const instance = this.#find(one.id);
        if (instance === undefined) return;
        this.#renew(instance);
        if (instance.status === one.status) return;
        instance.status = one.status as InstanceStatus;
        this.revision += 1;
        instance.revision = this.revision;
        return;
      }
      case "deregister": {
        const instance = this.#find(one.id);
        if (instance === undefined || (one.incarnation ?? instance.incarnation) !== instance.incarnation)
          return;
        this.#remove(instance);
        return;
      }
      case "expire":
        return this.instances
          .filter(({ deadline }) => deadline <= this.now)
          .forEach((instance) => this.#remove(instance));
      case "pass":
        this.now += one.ms;
    }
  }

  #register(one: Extract<Step, { do: "register" }>): void {
    const body = `${one.host} up ${one.ttlMs}`;
    const present = this.#find(one.id);
    const isSame =
      present?.session === one.session && present.body === body && present.status === ("up" as string);
    if (present !== undefined && isSame) return this.#renew(present);
    this.instances = this.instances.filter((instance) => instance !== present);
    this.revision += 1;
    this.instances.push({
      id: one.id,
      session: one.session,
      body,
      status: "up",
      incarnation: this.revision,
      revision: this.revision,
      ttlMs: one.ttlMs,
      deadline: this.now + one.ttlMs,
    });
  }

  #find(wanted: string): Simple | undefined {
    return this.instances.find((instance) => instance.id === wanted);
  }

  #renew(instance: Simple): void {
    instance.deadline = this.now + instance.ttlMs;
  }

  #remove(gone: Simple): void {
    this.instances = this.instances.filter((instance) => instance !== gone);
    this.revision += 1;
  }
}

function take(harness: Harness, one: Step): void {
  switch (one.do) {
    case "register":
      harness.do({ ...register(one.id, { host: one.host, ttlMs: one.ttlMs }), session: one.session });
      return;
    case "renew":
      harness.do({ kind: "renew", handles: one.handles });
      return;
    case "status":
      harness.do({ ...renewOne(one.id), status: one.status as InstanceStatus });
      return;
    case "deregister":
      harness.do({ ...deregister(one.id), incarnation: one.incarnation });
      return;
    case "expire":
      harness.do({ kind: "expire" });
      return;
    case "pass":
      harness.now += one.ms;
      harness.registry.advance(harness.now, false);
  }
}

test("leases, revisions and incarnations are those of the simple model after every step", () => {
  checkProperty("registry/lease-model", 400, fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
    const [model, harness] = [new Model(), new Harness()];
    for (const one of steps) {
      model.take(one);
      take(harness, one);
      const { registry } = harness;
      expect(registry.revision).toBe(model.revision);
      expect(registry.leaseCount).toBe(model.instances.length);
      const deadlines = model.instances.map(({ deadline }) => deadline);
      expect(registry.nextDeadline()).toBe(deadlines.length === 0 ? null : Math.min(...deadlines));
      for (const name of ids) {
        const simple = model.instances.find((instance) => instance.id === name) ?? null;
        const real = registry.instance(aKey(name));
        expect([real?.incarnation, real?.revision, real?.declared.status]).toEqual([
          simple?.incarnation,
          simple?.revision,
          simple?.status,
        ]);
        expect(registry.deadline(aKey(name))).toBe(simple?.deadline ?? null);
      }
    }
  });
});
