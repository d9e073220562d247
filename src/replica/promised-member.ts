/**
 * A replica as HTTP sees it: the same operations, with promises. The replica itself has none, so that a simulator can run it.
 */

import { RollcallError } from "../lib/errors.ts";
import type { Command, CommandResult, RegistryEvent } from "../registry/commands.ts";
import type { RegistryView } from "../registry/view.ts";
import type { MembershipChange } from "../raft/io.ts";
import type { NodeId } from "../raft/types.ts";
import { backupBytes, backupFormat } from "./backup.ts";
import { majorityOf, failuresTolerated } from "./fault-tolerance.ts";
import type {
  ClusterPicture,
  MembershipRequest,
  ReadinessCheck,
  ReadOptions,
  RegistryMember,
  Renewal,
  RenewalResult,
  WriteOptions,
} from "./member.ts";
import type { PeerView } from "./ports.ts";
import type { Replica } from "./replica.ts";
import type { WatchProgress } from "./watch-progress.ts";

/** The incarnation of the member that answers at this URL under this name. Rejects with a sentence when there is none. */
export type Identify = (peer: { readonly id: NodeId; readonly peerUrl: string }) => Promise<string>;

export class PromisedMember implements RegistryMember {
  readonly #replica: Replica;
  readonly #identify: Identify;

  constructor(replica: Replica, identify: Identify) {
    this.#replica = replica;
    this.#identify = identify;
  }

  get id(): NodeId {
    return this.#replica.id;
  }

  get clusterId(): string {
    return this.#replica.clusterId;
  }

  get version(): string {
    return this.#replica.version;
  }

  get registry(): RegistryView {
    return this.#replica.registry;
  }

  leader(): NodeId | null {
    return this.#replica.leader();
  }

  term(): number {
    return this.#replica.term();
  }

  staleMs(): number {
    return this.#replica.staleMs();
  }

  clusterNow(): number {
    return this.#replica.clusterNow();
  }

  submit(command: Command, options: WriteOptions): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      this.#replica.submit(command, options, (end) =>
        end.kind === "result" ? resolve(end.result) : reject(end.error),
      );
    });
  }

  async renew(renewals: readonly Renewal[], timeoutMs: number): Promise<RenewalResult[]> {
    const one = (renewal: Renewal): Promise<RenewalResult> =>
      new Promise((resolve) => this.#replica.renew(renewal, timeoutMs, resolve));
    return Promise.all(renewals.map(one));
  }

  read(options: ReadOptions): Promise<void> {
    return settled((end) => this.#replica.read(options, end));
  }

  onEvents(listener: (events: readonly RegistryEvent[]) => void): () => void {
    return this.#replica.onEvents(listener);
  }

  setWatchProgress(progress: WatchProgress): void {
    this.#replica.setWatchProgress(progress);
  }

  awaitWatches(revision: number, budgetMs: number): Promise<readonly NodeId[]> {
    return new Promise((resolve) => this.#replica.awaitWatches(revision, budgetMs, resolve));
  }

  async cluster(): Promise<ClusterPicture> {
    const peers = await new Promise<readonly PeerView[]>((resolve) => this.#replica.clusterStatus(resolve));
    const raft = this.#replica.status;
    const reachable = new Set(peers.filter((peer) => peer.reachable).map((peer) => peer.id));
    return {
      clusterId: this.clusterId,
      member: this.id,
      raft,
      members: raft.membership.members,
      revision: this.registry.revision,
      quorum: majorityOf(raft.membership.voters.length),
      failuresTolerated: failuresTolerated(raft.membership, reachable),
      peers,
    };
  }

  transferLeadership(to: NodeId | null, timeoutMs: number): Promise<void> {
    return settled((end) => this.#replica.transferLeadership(to, timeoutMs, end));
  }

  async changeMembership(request: MembershipRequest, timeoutMs: number): Promise<void> {
    const change = request.kind === "addLearner" ? await this.#withIncarnation(request) : request;
    return settled((end) => this.#replica.changeMembership(change, timeoutMs, end));
  }

  compact(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#replica.compact((index, failure) => {
        if (failure === null) resolve(index);
        else
          reject(
            new RollcallError("unavailable", `the state image could not be written: ${failure.message}`),
          );
      });
    });
  }

  backup(): Promise<AsyncIterable<Uint8Array>> {
    return new Promise((resolve, reject) => {
      this.#replica.backup((failure, source) => {
        if (source === null) {
          const why = failure?.message ?? "there is none";
          return reject(new RollcallError("unavailable", `the state image could not be read: ${why}`));
        }
        const { index, term } = source.base.last;
        const { id: member, clusterId, version } = this;
        resolve(backupBytes(source, { format: backupFormat, clusterId, member, index, term, version }));
      });
    });
  }

  readiness(): ReadinessCheck[] {
    return this.#replica.readiness();
  }

  /** The log names the process that joins by its incarnation, which only that process knows. */
  async #withIncarnation(
    request: Extract<MembershipRequest, { kind: "addLearner" }>,
  ): Promise<MembershipChange> {
    const incarnation = await this.#identify(request).catch((cause: Error) => {
      const detail = `${request.id} cannot be added: ${cause.message}; start it there first`;
      throw new RollcallError("unavailable", detail, { cause });
    });
    return { ...request, incarnation };
  }
}

function settled(start: (end: (error: RollcallError | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => (error === null ? resolve() : reject(error))));
}
