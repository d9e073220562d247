/**
 * A RegistryMember without Raft: the real registry, and every command committed and applied at once. Cluster time stands still until a
 * test moves it, so leases run out exactly when told to. What a cluster can refuse, a test can order.
 */

import { RollcallError } from "../../src/lib/errors.ts";
import { batchFromArray, batchToArray } from "../../src/registry/command-codec.ts";
import {
  commandVersion,
  type Command,
  type CommandResult,
  type RegistryEvent,
} from "../../src/registry/commands.ts";
import { Registry } from "../../src/registry/registry.ts";
import type {
  ClusterPicture,
  MembershipRequest,
  ReadinessCheck,
  ReadOptions,
  RegistryMember,
  Renewal,
  RenewalResult,
  WriteOptions,
} from "../../src/replica/member.ts";
import type { WatchProgress } from "../../src/replica/watch-progress.ts";

type Listener = (events: readonly RegistryEvent[]) => void;

export class LocalMember implements RegistryMember {
  readonly id: string;
  readonly clusterId = "c-test";
  readonly version = "0.0.0-test";
  registry = new Registry();
  /** What the next writes and renewals are refused with, first come, first served. */
  readonly refusals: RollcallError[] = [];
  /** Reads that have been allowed. */
  reads = 0;
  /** Applies without telling the listeners. */
  isSilent = false;
  /** Holds all writes back until released. */
  held: (() => void)[] | null = null;
  stale = 0;
  leaderId: string | null;
  /** Every write, as it was asked for. */
  readonly submitted: { readonly command: Command; readonly options: WriteOptions }[] = [];
  readonly membershipRequests: MembershipRequest[] = [];
  readonly transfers: (string | null)[] = [];
  checks: ReadinessCheck[] = [{ name: "leader", ok: true, detail: "" }];
  /** Members that cannot be asked about their watches. */
  unreachable: string[] = [];
  #watchProgress: WatchProgress = (_revision, _budgetMs, end) => end(true);
  #appliedIndex = 0;
  #clusterTime = 1_000;
  readonly #listeners = new Set<Listener>();

  constructor(id = "n1") {
    this.id = id;
    this.leaderId = id;
  }

  leader(): string | null {
    return this.leaderId;
  }

  term(): number {
    return 3;
  }

  staleMs(): number {
    return this.stale;
  }

  clusterNow(): number {
    return this.#clusterTime;
  }

  /** As when a snapshot was installed, which may tell of less than has changed. */
  tell(events: readonly RegistryEvent[]): void {
    for (const listener of this.#listeners) listener(events);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Moves cluster time, removing on the way whatever is due. */
  advance(ms: number): void {
    const end = this.#clusterTime + ms;
    for (;;) {
      const deadline = this.registry.nextDeadline();
      if (deadline === null || deadline >= end) break;
      this.#clusterTime = Math.max(this.#clusterTime, deadline + 1);
      this.#apply({ kind: "expire" }, null);
    }
    this.#clusterTime = end;
    this.registry.advance(end, false);
  }

  /** Applies a command without anybody having asked for it here: as what comes from another member. */
  commit(command: Command): CommandResult {
    return this.#apply(command, null);
  }

  /** As after an installed snapshot: another state, and nothing said about how it came about. */
  replaceRegistry(registry: Registry): void {
    this.registry = registry;
    this.#clusterTime = Math.max(this.#clusterTime, registry.clusterTime);
  }

  release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const go of held) go();
  }

  async submit(command: Command, options: WriteOptions): Promise<CommandResult> {
    await this.#turn();
    this.submitted.push({ command, options });
    return this.#apply(command, options);
  }

  async renew(renewals: readonly Renewal[], timeoutMs: number): Promise<RenewalResult[]> {
    const refusal = this.refusals[0];
    if (refusal !== undefined) {
      this.refusals.shift();
      const { code, message: detail, outcome, retryAfterMs } = refusal;
      return renewals.map(() => ({ ok: false, code, detail, outcome, retryAfterMs }));
    }
    await this.#turn();
    return renewals.map(({ key, incarnation, status }): RenewalResult => {
      const options = { timeoutMs, idempotencyKey: null, by: null };
      const result = this.#apply({ kind: "renewOne", ...key, incarnation, status }, options);
      if (!result.ok)
        return {
          ok: false,
          code: result.code,
          detail: result.detail,
          outcome: "not_applied",
          retryAfterMs: null,
        };
      if (result.kind !== "renewOne") throw new Error(`a renewal got the result of a ${result.kind}`);
      return { ok: true, incarnation: result.incarnation, ttlMs: result.ttlMs };
    });
  }

  async read({ consistency, minRevision, waitMs, maxStaleMs }: ReadOptions): Promise<void> {
    if (consistency === "linearizable" && this.leaderId === null)
      throw new RollcallError("no_leader", "no leader confirmed the read in time", { retryAfterMs: 500 });
    if (minRevision !== null) await this.#reach(minRevision, waitMs);
    if (maxStaleMs !== null && this.stale > maxStaleMs)
      throw new RollcallError("too_stale", `this member may be ${this.stale} ms behind`);
    this.reads += 1;
  }

  onEvents(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setWatchProgress(progress: WatchProgress): void {
    this.#watchProgress = progress;
  }

  async awaitWatches(revision: number, budgetMs: number): Promise<readonly string[]> {
    const reached = await new Promise<boolean>((resolve) => this.#watchProgress(revision, budgetMs, resolve));
    return [...(reached ? [] : [this.id]), ...this.unreachable];
  }

  async cluster(): Promise<ClusterPicture> {
    const members = [
      {
        id: this.id,
        incarnation: "i1",
        peerUrl: "http://127.0.0.1:7501",
        clientUrl: "http://127.0.0.1:7401",
      },
      { id: "n2", incarnation: "i2", peerUrl: "http://127.0.0.1:7502", clientUrl: "http://127.0.0.1:7402" },
      { id: "n3", incarnation: "i3", peerUrl: "http://127.0.0.1:7503", clientUrl: "http://127.0.0.1:7403" },
      { id: "n4", incarnation: "i4", peerUrl: "http://127.0.0.1:7504", clientUrl: "http://127.0.0.1:7404" },
    ];
    const index = this.#appliedIndex;
    return {
      clusterId: this.clusterId,
      member: this.id,
      members,
      raft: {
        id: this.id,
        role: "leader",
        term: this.term(),
        vote: this.id,
        leader: this.leaderId,
        commitIndex: index,
        appliedIndex: index,
        firstIndex: 1,
        lastIndex: index,
        durableIndex: index,
        membership: { voters: [this.id, "n2", "n3"], outgoing: [], learners: ["n4"], members },
        membershipIndex: 1,
        recovering: false,
        removed: false,
        storageFailed: false,
        transferringTo: null,
        peers: [],
      },
      revision: this.registry.revision,
      quorum: 2,
      failuresTolerated: 1,
      peers: [
        {
          id: "n2",
          reachable: true,
          lastContactMs: 12,
          matchIndex: index,
          appliedIndex: index,
          recovering: false,
          version: "0.0.0-test",
        },
        {
          id: "n3",
          reachable: true,
          lastContactMs: 9,
          matchIndex: 0,
          appliedIndex: 0,
          recovering: true,
          version: "0.0.0-test",
        },
      ],
    };
  }

  async transferLeadership(to: string | null): Promise<void> {
    this.#refuse();
    this.transfers.push(to);
  }

  async changeMembership(request: MembershipRequest): Promise<void> {
    this.#refuse();
    this.membershipRequests.push(request);
  }

  async compact(): Promise<number> {
    return this.#appliedIndex;
  }

  async backup(): Promise<AsyncIterable<Uint8Array>> {
    const parts = ["all ", "of it"].map((part) => Buffer.from(part));
    return (async function* () {
      yield* parts;
    })();
  }

  readiness(): ReadinessCheck[] {
    return this.checks;
  }

  #refuse(): void {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
  }

  async #turn(): Promise<void> {
    this.#refuse();
    const { held } = this;
    if (held !== null) await new Promise<void>((resolve) => held.push(resolve));
  }

  async #reach(revision: number, waitMs: number): Promise<void> {
    if (this.registry.revision >= revision) return;
    const reached = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => finish(false), waitMs);
      const stop = this.onEvents(() => this.registry.revision >= revision && finish(true));
      const finish = (result: boolean): void => {
        clearTimeout(timer);
        stop();
        resolve(result);
      };
    });
    if (!reached)
      throw new RollcallError(
        "revision_not_reached",
        `this member has applied revision ${this.registry.revision}, and did not reach revision ${revision} within ${waitMs} ms`,
      );
  }

  #apply(command: Command, options: WriteOptions | null): CommandResult {
    const envelope = {
      command,
      member: this.id,
      at: 1_760_000_000_000 + this.#clusterTime,
      idempotencyKey: options?.idempotencyKey ?? null,
      by: options?.by ?? null,
    };
    // Through the bytes of a log entry and back, as between members.
    const payload = JSON.parse(
      JSON.stringify(batchToArray({ version: commandVersion, envelopes: [envelope] })),
    ) as unknown;
    const { results, events } = this.registry.apply(batchFromArray(payload), this.#clusterTime);
    this.#appliedIndex += 1;
    if (events.length > 0 && !this.isSilent) for (const listener of this.#listeners) listener(events);
    const [result] = results;
    if (result === undefined) throw new Error("a command got no result");
    return result;
  }
}
