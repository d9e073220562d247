/** What a replica is made of. */

import type { NodeId } from "../raft/types.ts";
import type { ReplicaObserver } from "./observer.ts";
import type {
  Clock,
  CommandCodec,
  DiskRoom,
  LogStore,
  PeerNetwork,
  Recovered,
  Scheduler,
  StateStore,
} from "./ports.ts";
import type { ReplicaSettings } from "./settings.ts";

export interface ReplicaPorts {
  readonly log: LogStore;
  readonly state: StateStore;
  readonly peers: PeerNetwork;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly codec: CommandCodec;
  /** Absent where nobody can look. */
  readonly room?: DiskRoom;
  /** In [0, 1); seeded in tests, unlike any other process's in production. */
  readonly random: () => number;
}

export interface ReplicaOptions {
  readonly id: NodeId;
  readonly clusterId: string;
  readonly incarnation: string;
  /** The program's version, as shown to operators. */
  readonly version: string;
  readonly recovered: Recovered;
  readonly ports: ReplicaPorts;
  readonly settings: ReplicaSettings;
  readonly observer: ReplicaObserver;
}
