/** A registry whose log is written by hand: time moves when a test says so, and every entry goes through the codec as a real one does. */

import { batchFromArray, batchToArray } from "../../src/registry/command-codec.ts";
import {
  commandVersion,
  type Command,
  type CommandResult,
  type Envelope,
  type Failure,
  type RegistryEvent,
  type Success,
} from "../../src/registry/commands.ts";
import type { Instance, InstanceKey } from "../../src/registry/model.ts";
import { compareText } from "../../src/registry/names.ts";
import { encode } from "../../src/storage/msgpack.ts";
import { packedFields } from "../../src/storage/packed.ts";
import { Registry } from "../../src/registry/registry.ts";
import type { StateRecord } from "../../src/registry/records.ts";
import type { InstanceFilter } from "../../src/registry/view.ts";

export const everything: InstanceFilter = {
  statuses: null,
  tags: [],
  version: null,
  zone: null,
  metadata: [],
};

export interface Entry {
  readonly clusterTime: number;
  readonly batch: unknown;
}

export type SuccessOf<Kind extends Success["kind"]> = Extract<Success, { kind: Kind }>;

export class Harness {
  registry = new Registry();
  now = 0;
  /** Every entry so far. */
  readonly log: Entry[] = [];
  /** How many presence connections there were. */
  connections = 0;
  /** The events of the last entry. */
  events: readonly RegistryEvent[] = [];
  /** What a store would hold if it had written every change taken so far. */
  readonly image = new Map<string, unknown>();

  /** Applies commands as one entry. */
  entry(...envelopes: Envelope[]): CommandResult[] {
    const batch = JSON.parse(JSON.stringify(batchToArray({ version: commandVersion, envelopes }))) as unknown;
    this.log.push({ clusterTime: this.now, batch });
    const applied = this.registry.apply(batchFromArray(batch), this.now);
    this.events = applied.events;
    for (const result of applied.results) {
      if (result.ok && result.kind === "presence")
        this.connections = Math.max(this.connections, result.connection);
    }
    return applied.results;
  }

  /** Applies one command as one entry. */
  do<Kind extends Command["kind"]>(
    command: Extract<Command, { kind: Kind }>,
    envelope: Partial<Envelope> = {},
  ): SuccessOf<Kind> | Failure {
    const [result] = this.entry(anEnvelope(command, envelope));
    return result as SuccessOf<Kind> | Failure;
  }

  /** Like `do`, for a command that must succeed. */
  ok<Kind extends Command["kind"]>(
    command: Extract<Command, { kind: Kind }>,
    envelope: Partial<Envelope> = {},
  ): SuccessOf<Kind> {
    const result = this.do(command, envelope);
    if (!result.ok) throw new Error(`${command.kind} failed: ${result.code}: ${result.detail}`);
    return result;
  }

  /** Like `do`, for a command that must fail. */
  fails<Kind extends Command["kind"]>(
    command: Extract<Command, { kind: Kind }>,
    envelope: Partial<Envelope> = {},
  ): Failure {
    const result = this.do(command, envelope);
    if (result.ok) throw new Error(`${command.kind} succeeded`);
    return result;
  }

  /** Lets time pass, then expires what is due, as a leader would. */
  pass(ms: number): SuccessOf<"expire"> {
    this.now += ms;
    return this.ok({ kind: "expire" });
  }

  find(key: InstanceKey): Instance {
    const instance = this.registry.instance(key);
    if (instance === null) throw new Error(`${key.id} is not registered`);
    return instance;
  }

  ids(service = "web"): string[] {
    return this.registry.instances("default", service, everything).map((instance) => instance.id);
  }

  /** Writes the changes to the image, as a store does. */
  save(): void {
    const { puts, deletes } = this.registry.takeChanges();
    for (const key of deletes) this.image.delete(key);
    for (const [key, value] of puts) this.image.set(key, value);
  }

  /** The image as it comes back from a disk: in order of keys, and nothing in it is shared with what was saved. */
  records(): StateRecord[] {
    const sorted = [...this.image].sort(([left], [right]) => compareText(left, right));
    return JSON.parse(JSON.stringify(sorted)) as StateRecord[];
  }

  /** The same with values that are still packed, as storage hands them over. */
  packedRecords(): StateRecord[] {
    return this.records().map(([key, value]) => [key, packedFields(Uint8Array.from(encode(value)), key)]);
  }

  /** Goes on as a member that was restarted. */
  restart(): void {
    this.save();
    this.registry = Registry.load(this.packedRecords());
  }

  /** The same out of values that have been decoded. */
  restartDecoded(): void {
    this.save();
    this.registry = Registry.load(this.records());
  }
}

export function anEnvelope(command: Command, changes: Partial<Envelope> = {}): Envelope {
  return { command, member: "n1", at: 1_700_000_000_000, idempotencyKey: null, by: null, ...changes };
}
