/**
 * Whole members (core, driver, registry) in one process, over virtual time, a network that can be cut, and disks that survive crashes.
 */

import { silentObserver } from "../../src/replica/observer.ts";
import type { Membership, NodeId, SnapshotMeta } from "../../src/raft/types.ts";
import type { Message } from "../../src/raft/messages.ts";
import type {
  PeerHandler,
  PeerNetwork,
  PeerOutcome,
  PeerRequest,
  StorageDone,
} from "../../src/replica/ports.ts";
import { Replica } from "../../src/replica/replica.ts";
import { defaultReplicaSettings, type ReplicaSettings } from "../../src/replica/settings.ts";
import type { WriteEnd } from "../../src/replica/pending-write.ts";
import type { RaftEvent } from "../../src/raft/io.ts";
import type { Command, CommandResult } from "../../src/registry/commands.ts";
import { Registry } from "../../src/registry/registry.ts";
import { VirtualProcess, VirtualTime } from "./virtual-time.ts";
import { virtualCodec, VirtualDisk, VirtualLog, VirtualState } from "./virtual-storage.ts";

export interface VirtualClusterOptions {
  readonly members: number;
  readonly random: () => number;
  readonly settings?: Partial<ReplicaSettings>;
  readonly latencyMs?: number;
}

interface RunningMember {
  readonly replica: Replica;
  readonly process: VirtualProcess;
}

export class VirtualCluster {
  readonly time = new VirtualTime();
  readonly disks = new Map<NodeId, VirtualDisk>();
  /** What the members' cores told, oldest first. */
  readonly events: { readonly member: NodeId; readonly event: RaftEvent }[] = [];
  readonly #running = new Map<NodeId, RunningMember>();
  readonly #cuts = new Set<string>();
  readonly #openRequests = new Set<{ readonly to: NodeId; readonly breakOff: () => void }>();
  readonly #options: VirtualClusterOptions;
  readonly #settings: ReplicaSettings;
  /** Sees each message before it is sent; returns false to lose it. */
  messageFilter: (message: Message) => boolean = () => true;
  /** Free bytes on each member's disk; null when nobody can look. */
  freeBytes: (id: NodeId) => number | null = () => null;
  /** What happened to each reserve, oldest first. */
  readonly reserves: string[] = [];
  /** Why members have ended themselves. Throws, unless the test means it to happen. */
  onFatal: (member: NodeId, error: unknown) => void = (_member, error) => {
    throw error;
  };
  /** So many of the next snapshot transfers end early. */
  fetchesToBreak = 0;
  /** Decides the fate of a request's answer: "lost" breaks it after it was handled. */
  replyFilter: (to: NodeId, request: PeerRequest) => "delivered" | "lost" = () => "delivered";

  constructor(options: VirtualClusterOptions) {
    this.#options = options;
    this.#settings = { ...defaultReplicaSettings, ...options.settings };
    const ids = Array.from({ length: options.members }, (_, position) => `n${position + 1}`);
    const membership = membershipOf(ids);
    for (const id of ids) this.disks.set(id, VirtualDisk.bootstrapped(membership));
    for (const id of ids) this.start(id);
  }

  get ids(): NodeId[] {
    return [...this.disks.keys()];
  }

  get running(): NodeId[] {
    return [...this.#running.keys()];
  }

  replica(id: NodeId): Replica {
    const member = this.#running.get(id);
    if (member === undefined) throw new Error(`${id} is not running`);
    return member.replica;
  }

  /** From now on the member's loop takes so long for each round. */
  slowDown(id: NodeId, roundMs: number): void {
    const member = this.#running.get(id);
    if (member !== undefined) member.process.roundMs = roundMs;
  }

  /** From now on the member's loop comes to its turns only after so long. */
  overload(id: NodeId, soonMs: number): void {
    const member = this.#running.get(id);
    if (member !== undefined) member.process.soonMs = soonMs;
  }

  /** Starts a member from its disk. */
  start(id: NodeId): Replica {
    const process = new VirtualProcess(this.time);
    const disk = this.disks.get(id) ?? new VirtualDisk();
    this.disks.set(id, disk);
    const recovered = disk.recover();
    const options = {
      id,
      clusterId: "test",
      incarnation: `${id}-1`,
      version: "0.0.0",
      recovered,
      ports: {
        log: new VirtualLog(disk, process),
        state: new VirtualState(disk, process),
        peers: this.#network(id, process),
        clock: process,
        scheduler: process,
        codec: virtualCodec,
        room: {
          look: (done: (freeBytes: number | null) => void) => process.soon(() => done(this.freeBytes(id))),
          releaseReserve: () => void this.reserves.push(`${id} released`),
          restoreReserve: () => void this.reserves.push(`${id} restored`),
        },
        random: this.#options.random,
      },
      settings: this.#settings,
      observer: {
        ...silentObserver,
        raft: (event: RaftEvent) => this.events.push({ member: id, event }),
        fatal: (error: unknown) => this.onFatal(id, error),
      },
    };
    const replica = new Replica(options, Registry.load(recovered.image.packedRecords));
    this.#running.set(id, { replica, process });
    replica.start();
    process.every(this.#settings.raft.tickMs, () => replica.tick());
    return replica;
  }

  /** Ends a member at once, as kill -9 does; its peers notice that its streams end. */
  crash(id: NodeId): void {
    this.#running.get(id)?.process.end();
    this.#running.delete(id);
    for (const request of this.#openRequests) if (request.to === id) request.breakOff();
    for (const [other, { replica }] of this.#running) {
      if (!this.isCut(id, other))
        this.time.after(this.#latencyMs, () => this.#running.has(other) && replica.streamLost(id));
    }
  }

  restart(id: NodeId): Replica {
    this.crash(id);
    return this.start(id);
  }

  /** Nothing passes between the two any more. */
  cut(one: NodeId, other: NodeId): void {
    this.#cuts.add(linkOf(one, other));
  }

  isolate(id: NodeId): void {
    for (const other of this.ids) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.#cuts.clear();
  }

  isCut(one: NodeId, other: NodeId): boolean {
    return this.#cuts.has(linkOf(one, other));
  }

  /** The member that the majority of running members follows; waits for it. */
  waitForLeader(limitMs = 20_000): NodeId {
    const find = (): NodeId | null => {
      for (const id of this.running) {
        const followers = this.running.filter((other) => this.replica(other).leader() === id);
        if (this.replica(id).isLeader && followers.length > this.ids.length / 2) return id;
      }
      return null;
    };
    this.time.runUntil(() => find() !== null, limitMs, "a leader that a majority follows");
    return find()!;
  }

  /** Submits at a member and runs until it is answered. */
  submit(
    id: NodeId,
    command: Command,
    options: { readonly timeoutMs?: number; readonly idempotencyKey?: string } = {},
  ): WriteEnd {
    let answer: WriteEnd | null = null;
    const { timeoutMs = 5000, idempotencyKey = null } = options;
    this.replica(id).submit(command, { timeoutMs, idempotencyKey, by: null }, (end) => {
      answer = end;
    });
    this.time.runUntil(() => answer !== null, timeoutMs + 1000, `an answer to ${command.kind} at ${id}`);
    return answer!;
  }

  /** As `submit`, for a command that must succeed. */
  mustSubmit(id: NodeId, command: Command): Extract<CommandResult, { ok: true }> {
    const end = this.submit(id, command);
    if (end.kind === "error") throw end.error;
    if (!end.result.ok) throw new Error(`${command.kind} failed: ${end.result.detail}`);
    return end.result;
  }

  /** Runs until all running members have applied the same and agree on it. */
  waitForAgreement(limitMs = 20_000): void {
    const isSettled = (id: NodeId): boolean => {
      const { appliedIndex, commitIndex, lastIndex } = this.replica(id).status;
      return appliedIndex === lastIndex && commitIndex === lastIndex;
    };
    const states = (): string[] =>
      this.running.map(
        (id) => `${this.replica(id).status.appliedIndex} ${this.replica(id).registry.stateHash()}`,
      );
    this.time.runUntil(
      () => this.running.every(isSettled) && new Set(states()).size === 1,
      limitMs,
      "equal state on all members",
    );
  }

  get #latencyMs(): number {
    return this.#options.latencyMs ?? 1;
  }

  #network(self: NodeId, process: VirtualProcess): PeerNetwork {
    const handlerOf = (id: NodeId): PeerHandler | null =>
      this.isCut(self, id) ? null : (this.#running.get(id)?.replica ?? null);
    const later = (task: () => void): void => void this.time.after(this.#latencyMs, task);
    return {
      send: (message) => {
        if (!this.messageFilter(message)) return;
        later(() => handlerOf(message.to)?.receive(message));
      },
      request: (to, request, timeoutMs, done) => this.#request(self, process, to, request, timeoutMs, done),
      setPeers: () => {},
      fetchSnapshot: (from, meta, onChunk, done) =>
        this.#fetch(process, () => handlerOf(from), meta, onChunk, done),
      connection: (id) => ({ connected: handlerOf(id) !== null, version: "0.0.0" }),
    };
  }

  #request(
    self: NodeId,
    process: VirtualProcess,
    to: NodeId,
    request: PeerRequest,
    timeoutMs: number,
    done: (outcome: PeerOutcome) => void,
  ): void {
    let isOver = false;
    const end = (outcome: PeerOutcome): void => {
      if (isOver) return;
      isOver = true;
      this.#openRequests.delete(open);
      process.soon(() => done(outcome));
    };
    const open = { to, breakOff: () => end({ kind: "broken", reason: "connection reset" }) };
    this.#openRequests.add(open);
    process.after(timeoutMs, () => end({ kind: "broken", reason: `no answer in ${timeoutMs} ms` }));
    this.time.after(this.#latencyMs, () => {
      const handler = this.isCut(self, to) ? null : this.#running.get(to)?.replica;
      if (handler === null) return;
      if (handler === undefined) return end({ kind: "notSent", reason: "connection refused" });
      handler.answer(self, request, (reply) => {
        if (this.isCut(self, to) || this.replyFilter(to, request) === "lost") return;
        this.time.after(this.#latencyMs, () => end({ kind: "reply", reply }));
      });
    });
  }

  #fetch(
    process: VirtualProcess,
    source: () => PeerHandler | null,
    meta: SnapshotMeta,
    onChunk: (chunk: Uint8Array, taken: StorageDone) => void,
    done: (failure: { readonly message: string } | null) => void,
  ): void {
    const fetchFrom = (position: number): void => {
      const handler = source();
      if (position > 0 && this.fetchesToBreak > 0) {
        this.fetchesToBreak -= 1;
        return done({ message: "the connection broke" });
      }
      if (handler === null) return process.soon(() => done({ message: "the source is away" }));
      handler.readSnapshot(meta.id, position, (chunk) => {
        process.after(this.#latencyMs, () => {
          if (chunk === undefined) return done({ message: "no longer offered" });
          if (chunk === null) return done(null);
          onChunk(chunk, (failure) => (failure === null ? fetchFrom(position + 1) : done(failure)));
        });
      });
    };
    fetchFrom(0);
  }
}

export function membershipOf(voters: readonly NodeId[]): Membership {
  const members = voters.map((id) => ({
    id,
    incarnation: `${id}-1`,
    peerUrl: `http://${id}:7501`,
    clientUrl: `http://${id}:7401`,
  }));
  return { voters, outgoing: [], learners: [], members };
}

function linkOf(one: NodeId, other: NodeId): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
