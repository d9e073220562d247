/**
 * One member as a machine: a disk that outlives processes, and at most one process on it, which runs the production code.
 */

import { commandCodec } from "../../../src/storage/command-codec.ts";
import {
  openStorage,
  type MemberStores,
  type Storage,
  type StorageReport,
} from "../../../src/storage/open-storage.ts";
import type { WalLimits } from "../../../src/storage/wal/write-ahead-log.ts";
import type { RaftCore } from "../../../src/raft/raft-core.ts";
import { noEntry, type Index, type Membership, type NodeId } from "../../../src/raft/types.ts";
import type { RaftEvent } from "../../../src/raft/io.ts";
import type { RegistryEvent } from "../../../src/registry/commands.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { silentObserver } from "../../../src/replica/observer.ts";
import { OwnAddresses } from "../../../src/replica/own-addresses.ts";
import { loadInTurns } from "../../../src/replica/load-registry.ts";
import { Replica } from "../../../src/replica/replica.ts";
import type { ReplicaOptions } from "../../../src/replica/replica-options.ts";
import type { ReplicaSettings } from "../../../src/replica/settings.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import type { Random } from "../random.ts";
import { addressesAsAdded, type Addresses } from "./addresses.ts";
import { SimDisk, type DiskTiming } from "./disk.ts";
import { Lane, type LaneHooks } from "./lane.ts";
import type { Endpoint, SimNetwork } from "./network.ts";
import { SimProcess } from "./process.ts";
import { SimRecordStores } from "./record-stores.ts";

export const clusterId = "simulated";

export type HandOver = "pace" | "disk" | "room";

/** What the rest of the simulation hears of a member. */
export interface MemberHooks {
  readonly started: (member: SimMember, report: StorageReport) => void;
  /** After everything that its process did. */
  readonly stepped: (member: SimMember) => void;
  readonly raftEvent: (member: SimMember, event: RaftEvent) => void;
  readonly registryEvents: (member: SimMember, events: readonly RegistryEvent[]) => void;
  readonly applied: (member: SimMember, index: Index) => void;
  readonly snapshotInstalled: (member: SimMember, index: Index) => void;
  /** The membership says where it is reached now. */
  readonly announced: (member: SimMember) => void;
  /** A leader that is late with its own work, or whose disk is slow or short of room, lets another lead. */
  readonly handsOver: (member: SimMember, why: HandOver) => void;
  /** The production code gave up: an invariant broke, or a command could not be applied. */
  readonly fatal: (member: SimMember, error: unknown) => void;
  /** The disk may not be trusted any more: this process is to end. */
  readonly storageFailed: (member: SimMember, process: SimProcess) => void;
  readonly disk: (member: SimMember) => LaneHooks;
  readonly durable: (member: SimMember, withNames: boolean) => void;
}

export interface MemberSettings {
  readonly settings: ReplicaSettings;
  readonly wal: WalLimits;
  readonly disk: DiskTiming;
  readonly tearsWrites: boolean;
  readonly clockRate: number;
  /** Whether the state image has a queue of its own, so that the log can be written while the image is slow. */
  readonly separateImage: boolean;
}

export class SimMember {
  readonly id: NodeId;
  /** Small and unique: for traces. */
  readonly number: number;
  incarnation: string;
  /** Where its next process is reached, or the one that runs. */
  #addresses: Addresses;
  #formerAddresses: Addresses;
  lane: Lane;
  /** The state image's; the same as `lane` in most runs. */
  imageLane: Lane;
  disk: SimDisk;
  stores: SimRecordStores;
  /** What its state machine holds. The core hears of a snapshot a turn later. */
  appliedIndex: Index = 0;
  /** Asked to end gracefully: from then on it takes part less and less. */
  isStopping = false;
  /** Where the newest image ended that it received from another: it is durable, whatever the log says. */
  installedIndex: Index = 0;
  /** When this process, as a leader, last found another that should lead instead. */
  handedOverAtMs = -Infinity;
  readonly #time: VirtualTime;
  readonly #network: SimNetwork;
  readonly #random: Random;
  readonly #settings: MemberSettings;
  readonly #hooks: MemberHooks;
  #process: SimProcess | null = null;
  #replica: Replica | null = null;

  constructor(options: {
    readonly id: NodeId;
    readonly number: number;
    readonly incarnation: string;
    readonly addresses: Addresses;
    readonly time: VirtualTime;
    readonly network: SimNetwork;
    readonly random: Random;
    readonly settings: MemberSettings;
    readonly hooks: MemberHooks;
  }) {
    this.id = options.id;
    this.number = options.number;
    this.incarnation = options.incarnation;
    this.#addresses = options.addresses;
    this.#formerAddresses = options.addresses;
    this.#time = options.time;
    this.#network = options.network;
    this.#random = options.random;
    this.#settings = options.settings;
    this.#hooks = options.hooks;
    this.lane = this.#newLane();
    this.imageLane = this.#newImageLane();
    this.disk = this.#newDisk();
    this.stores = this.#newStores();
  }

  /** Null while it is down, or while it is still reading its disk. */
  get replica(): Replica | null {
    return this.#replica;
  }

  get process(): SimProcess | null {
    return this.#process;
  }

  get core(): RaftCore | null {
    return this.#replica?.core ?? null;
  }

  get addresses(): Addresses {
    return this.#addresses;
  }

  set addresses(addresses: Addresses) {
    this.#formerAddresses = this.#addresses;
    this.#addresses = addresses;
  }

  get formerAddresses(): Addresses {
    return this.#formerAddresses;
  }

  get isDown(): boolean {
    return this.#process === null;
  }

  /** Makes the folder of a founding member, as bootstrap does. */
  found(membership: Membership, done: () => void): void {
    const process = this.#newProcess();
    this.#openStorage(process, (storage) => storage.join(clusterId, membership, (error) => end(error)));
    const end = (error: unknown): void => {
      if (error !== null) throw new Error(`founding ${this.id} failed: ${JSON.stringify(error)}`);
      process.end();
      done();
    };
  }

  /** Starts a process, which reads the disk and then takes part. */
  start(): void {
    if (this.#process !== null) return;
    // An error while the folder is being read counts as damage, which is the fault atlas's to allow.
    this.lane.failsNext = false;
    this.isStopping = false;
    this.handedOverAtMs = -Infinity;
    const process = this.#newProcess();
    this.#process = process;
    this.#openStorage(process, (storage) => this.#joinAndRun(process, storage));
  }

  /** Ends the process at once, as kill -9 does; with the power what was not synced goes too. */
  crash(withPower: boolean): void {
    this.#process?.end();
    this.#process = null;
    this.#replica = null;
    this.#network.detach(this.id);
    if (!withPower) return;
    this.lane.losePower();
    this.imageLane.losePower();
    this.disk.losePower();
    this.stores.losePower(this.#random);
  }

  /** The disk is replaced by an empty one: what starts on it is another member. */
  wipe(incarnation: string): void {
    this.crash(true);
    this.incarnation = incarnation;
    this.#addresses = addressesAsAdded(this.id);
    this.#formerAddresses = this.#addresses;
    this.installedIndex = 0;
    this.lane = this.#newLane();
    this.imageLane = this.#newImageLane();
    this.disk = this.#newDisk();
    this.stores = this.#newStores();
  }

  #openStorage(process: SimProcess, use: (storage: Storage) => void): void {
    const environment = {
      disk: this.disk.openFor(process),
      stores: this.stores.openFor(process),
      clock: process,
      scheduler: process,
      limits: this.#settings.wal,
      memberId: this.id,
      newIncarnation: this.incarnation,
    };
    openStorage(environment, (error, storage) => {
      if (storage !== null) return use(storage);
      this.#openFailed(process, error);
    });
  }

  /** A disk that fails or is full at the start ends the process; anything else is a defect. */
  #openFailed(process: SimProcess, error: unknown): void {
    if (error instanceof Error) return this.#hooks.fatal(this, error);
    process.end();
    this.crash(false);
  }

  /** An empty folder becomes that of somebody who waits to be added. */
  #joinAndRun(process: SimProcess, storage: Storage): void {
    if (storage.stores !== null) return this.#run(process, storage, storage.stores);
    storage.join(clusterId, null, (error) => {
      if (storage.stores === null) this.#openFailed(process, error);
      else this.#run(process, storage, storage.stores);
    });
  }

  #run(process: SimProcess, storage: Storage, stores: MemberStores): void {
    loadInTurns({
      image: stores.recovered.image,
      stepsPerTurn: this.#settings.settings.loadStepsPerTurn,
      inTurn: (task) => process.soon(task),
      done: (registry) => this.#takePart(process, storage, stores, registry),
    });
  }

  #takePart(process: SimProcess, storage: Storage, stores: MemberStores, registry: Registry): void {
    const { settings } = this.#settings;
    this.appliedIndex = stores.recovered.boot.appliedIndex;
    const endpoint = {
      id: this.id,
      incarnation: this.incarnation,
      process,
      known: new Map(),
      membershipAt: noEntry,
    };
    const self = endpoint as typeof endpoint & { handler: Replica };
    const options: ReplicaOptions = {
      id: this.id,
      clusterId,
      incarnation: this.incarnation,
      version: "0.0.0",
      recovered: stores.recovered,
      ports: {
        log: stores.log,
        state: stores.state,
        peers: this.#network.portFor(self as Endpoint),
        clock: process,
        scheduler: process,
        codec: commandCodec,
        random: this.#random.fork().next,
      },
      settings,
      observer: {
        ...silentObserver,
        raft: (event) => this.#hooks.raftEvent(this, event),
        registryEvents: (events) => this.#hooks.registryEvents(this, events),
        applied: (index) => {
          this.appliedIndex = index;
          this.#hooks.applied(this, index);
        },
        snapshotInstalled: (_from, index) => {
          this.appliedIndex = index;
          this.installedIndex = index;
          this.#hooks.snapshotInstalled(this, index);
        },
        storageFailed: (_where, failure) => {
          if (failure.kind === "failed") this.#hooks.storageFailed(this, process);
        },
        paceHandOver: () => this.#handsOver("pace"),
        diskHandOver: () => this.#handsOver("disk"),
        roomHandOver: () => this.#handsOver("room"),
        fatal: (error) => this.#hooks.fatal(this, error),
      },
    };
    const replica = new Replica(options, registry);
    self.handler = replica;
    this.#replica = replica;
    this.#network.attach(self);
    this.#hooks.started(this, storage.report);
    replica.start();
    const own = new OwnAddresses({
      self: { id: this.id, incarnation: this.incarnation, ...this.#addresses },
      replica,
      settings,
      scheduler: process,
      announced: () => this.#hooks.announced(this),
    });
    process.every(settings.raft.tickMs, () => {
      replica.tick();
      own.tick();
    });
  }

  #handsOver(why: HandOver): void {
    this.handedOverAtMs = this.#time.nowMs;
    this.#hooks.handsOver(this, why);
  }

  #newProcess(): SimProcess {
    return new SimProcess({
      time: this.#time,
      rate: this.#settings.clockRate,
      originMs: this.#random.below(1_000_000),
      afterTask: () => this.#hooks.stepped(this),
      onError: (error) => this.#hooks.fatal(this, error),
    });
  }

  #newLane(): Lane {
    return new Lane(this.#time, this.#random.fork(), this.#hooks.disk(this));
  }

  #newImageLane(): Lane {
    return this.#settings.separateImage ? this.#newLane() : this.lane;
  }

  #newDisk(): SimDisk {
    const { disk, tearsWrites } = this.#settings;
    const simDisk = new SimDisk({ lane: this.lane, random: this.#random.fork(), timing: disk, tearsWrites });
    simDisk.onDurable = (withNames) => this.#hooks.durable(this, withNames);
    return simDisk;
  }

  #newStores(): SimRecordStores {
    return new SimRecordStores(this.imageLane, this.#settings.disk);
  }
}
