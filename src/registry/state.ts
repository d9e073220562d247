/**
 * The parts of the replicated state, and its counters. It has no rules: those are in `apply/`.
 */

import { Catalog } from "./catalog.ts";
import { DueHeap } from "./due-heap.ts";
import { EventWindow } from "./events.ts";
import type { Fields } from "./fields.ts";
import { KeptResults } from "./idempotency.ts";
import { Leases } from "./leases.ts";
import { ParkedOverrides } from "./parked-overrides.ts";
import { ChangedRecords } from "./changed-records.ts";
import { Recorded } from "./records.ts";
import type { Registration } from "./registration.ts";

const recordVersion = 1;

/** Lease blocks hold a member's number in 16 bits; 0 is "unknown". */
const membersMax = 65_535;

export class Counters extends Recorded {
  override readonly recordKey = "meta";
  /** Of the newest visible change. Only ever rises. */
  revision = 0;
  /** Of the newest entry, milliseconds. Never falls. */
  clusterTime = 0;
  /** The number of the newest presence connection. */
  connection = 0;
  /** The highest revision of a service that has been forgotten: what an unknown service reports. */
  forgottenRevision = 0;
  /** Orders the results kept for repeated writes. */
  keptResultSequence = 0;
  /** Members that brought renewals, in order of their first; a lease names one by its position, counted from 1. */
  members: string[] = [];

  override recordValue(): unknown {
    return [
      recordVersion,
      this.revision,
      this.clusterTime,
      this.connection,
      this.forgottenRevision,
      this.keptResultSequence,
      [...this.members],
    ];
  }

  read(fields: Fields): void {
    const version = fields.integer();
    if (version !== recordVersion) {
      throw new Error(`the state image has version ${version}, and this release reads ${recordVersion}`);
    }
    this.revision = fields.integer();
    this.clusterTime = fields.integer();
    this.connection = fields.integer();
    this.forgottenRevision = fields.integer();
    this.keptResultSequence = fields.integer();
    this.members = fields.list("members", (item) => item.text());
  }
}

export class RegistryState {
  readonly changed = new ChangedRecords();
  readonly counters = new Counters();
  readonly catalog = new Catalog();
  readonly leases = new Leases(this.changed);
  readonly events = new EventWindow(this.changed.sum);
  readonly keptResults = new KeptResults(this.changed);
  readonly parkedOverrides = new ParkedOverrides(this.changed);
  /** Slots of instances whose operator's layer ends, by when. */
  readonly overrideEnds = new DueHeap(
    (left, right) => this.leases.incarnationOf(left) - this.leases.incarnationOf(right),
  );

  constructor() {
    this.changed.include(this.events);
    this.changed.adopt(this.counters);
  }

  get now(): number {
    return this.counters.clusterTime;
  }

  nextRevision(): number {
    this.counters.revision += 1;
    return this.counters.revision;
  }

  /** The number by which leases name a member. */
  memberNumber(member: string): number {
    const { members } = this.counters;
    const known = members.indexOf(member);
    if (known >= 0) return known + 1;
    if (members.length >= membersMax) return 0;
    members.push(member);
    return members.length;
  }

  memberName(number: number): string | null {
    return this.counters.members[number - 1] ?? null;
  }

  /** To be called whenever the layer or the registration in a slot has changed. */
  noteOverrideEnd(registration: Registration): void {
    const endsAt = registration.instance.override?.endsAt ?? null;
    if (endsAt === null) this.overrideEnds.delete(registration.slot);
    else this.overrideEnds.set(registration.slot, endsAt);
  }

  /** To be called once, when the state was loaded: everything in it is part of the hash. */
  *adoptAll(): Generator<undefined> {
    for (const record of this.#records()) {
      this.changed.adopt(record);
      yield;
    }
  }

  /** All but the events, which see to it themselves. */
  *#records(): Generator<Recorded> {
    yield this.counters;
    for (const service of this.catalog.services()) {
      yield service;
      yield* service.registrations();
      yield* service.history;
    }
    yield* this.leases.blocks();
    yield* this.keptResults.records();
    yield* this.parkedOverrides.records();
  }
}
