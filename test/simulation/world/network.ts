/**
 * The way between members: messages are delayed, lost, repeated and reordered; requests end in one of their three outcomes; connections
 * are refused between members that know each other by another incarnation, as the transport's handshake does.
 */

import type { Message } from "../../../src/raft/messages.ts";
import type { EntryId, Index, NodeId, SnapshotMeta } from "../../../src/raft/types.ts";
import { messageFromArray, messageToArray } from "../../../src/raft/wire.ts";
import type {
  PeerHandler,
  PeerNetwork,
  PeerOutcome,
  PeerReply,
  PeerRequest,
  StorageDone,
} from "../../../src/replica/ports.ts";
import { decode, encode } from "../../../src/storage/msgpack.ts";
import { takesForMember } from "../../../src/transport/handshake.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";
import type { Random } from "../random.ts";
import { Links } from "./links.ts";
import type { SimProcess } from "./process.ts";

export interface NetworkOptions {
  /** Every message takes at least this, and on average as much again as `jitterMs`. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  readonly lossChance: number;
  readonly duplicateChance: number;
  /** Whether messages between two members may overtake each other. */
  readonly reorders: boolean;
  /** Whether messages go through the wire format and back. */
  readonly encodes: boolean;
  /** How often a message is held up, and overtaken by others, for up to so long: over an election or two. */
  readonly stragglerChance: number;
  readonly stragglerMs: number;
}

/** One running process as the network sees it. */
export interface Endpoint {
  readonly id: NodeId;
  readonly incarnation: string;
  readonly process: SimProcess;
  readonly handler: PeerHandler;
  /** Who it takes the others for; by its own membership. */
  known: ReadonlyMap<NodeId, string>;
  /** Where in the log that membership stands. */
  membershipAt: EntryId;
}

export interface NetworkHooks {
  /** A process hands a message over. */
  readonly sending: (from: Endpoint, message: Message) => void;
  /** A message, a request or an answer arrives: an event of the run. */
  readonly arrived: (
    what: string,
    from: NodeId,
    to: NodeId,
    message: Message | null,
    delayMs: number,
  ) => void;
  /** One process does not take the other for the member that it says it is. */
  readonly refused: (judge: Endpoint, other: Endpoint) => void;
  /** The last chunk of an image has arrived. */
  readonly imageReceived: (to: NodeId, from: NodeId) => void;
}

/** A message on its way. */
interface Sent {
  readonly sender: Endpoint;
  readonly message: Message;
  readonly sentAtMs: number;
  /** The process that it was sent to. */
  readonly receiver: Endpoint | undefined;
}

/** A snapshot's chunk that got lost is asked for again after this, so many times. */
const chunkRetryMs = 20;
const chunkTimeoutMs = 500;
const chunkTriesMax = 5;

export class SimNetwork {
  readonly links = new Links();
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #stragglers: Random;
  readonly #options: NetworkOptions;
  readonly #hooks: NetworkHooks;
  readonly #endpoints = new Map<NodeId, Endpoint>();
  /** When the newest message on a link arrives: without reordering no later one comes before it. */
  readonly #arrivals = new Map<NodeId, Map<NodeId, number>>();
  readonly #openRequests = new Set<{ readonly to: Endpoint; readonly breakOff: () => void }>();
  /** Which messages are held up on their way now. */
  #isHeldUp: ((message: Message) => boolean) | null = null;
  #heldUp: Sent[] = [];
  readonly #receivedImages = new Map<NodeId, Index>();
  /** Raised while the nemesis wants it. */
  extraLoss = 0;
  extraLatencyMs = 0;
  /** From then on nothing is lost or repeated. */
  #isCalm = false;

  constructor(options: {
    readonly time: VirtualTime;
    readonly random: Random;
    /** Decides who straggles. */
    readonly stragglers: Random;
    readonly network: NetworkOptions;
    readonly hooks: NetworkHooks;
  }) {
    this.#time = options.time;
    this.#random = options.random;
    this.#stragglers = options.stragglers;
    this.#options = options.network;
    this.#hooks = options.hooks;
  }

  /** Heals everything, for good. */
  calm(): void {
    this.links.heal();
    this.extraLoss = 0;
    this.extraLatencyMs = 0;
    this.#isCalm = true;
  }

  get #lossChance(): number {
    return this.#isCalm ? 0 : this.#options.lossChance + this.extraLoss;
  }

  /** From now on such messages stay on their way until they are let go, and others overtake them. */
  holdUp(isHeldUp: (message: Message) => boolean): void {
    this.#isHeldUp = isHeldUp;
  }

  get heldUp(): readonly Message[] {
    return this.#heldUp.map(({ message }) => message);
  }

  letGo(): void {
    this.#isHeldUp = null;
    const heldUp = this.#heldUp;
    this.#heldUp = [];
    for (const sent of heldUp) this.#arriveAfter(this.#delayMs(sent.sender.id, sent.message.to), sent, true);
  }

  /** Where the newest image ends of which this member has received all chunks; 0 for none. */
  receivedImage(id: NodeId): Index {
    return this.#receivedImages.get(id) ?? 0;
  }

  attach(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.id, endpoint);
  }

  /** The process is gone: its connections end at once, and its peers notice. */
  detach(id: NodeId): void {
    const gone = this.#endpoints.get(id);
    if (gone === undefined) return;
    this.#endpoints.delete(id);
    for (const request of this.#openRequests) if (request.to === gone) request.breakOff();
    for (const other of this.#endpoints.values()) this.#loseStream(other, id);
  }

  /** All connections of a member break, and are made again. */
  resetConnections(id: NodeId): void {
    const self = this.#endpoints.get(id);
    if (self === undefined) return;
    for (const request of this.#openRequests) if (request.to === self) request.breakOff();
    for (const other of this.#endpoints.values()) {
      if (other.id === id) continue;
      this.#loseStream(other, id);
      this.#loseStream(self, other.id);
    }
  }

  /** The network as one process uses it. `self` may be completed after the port was made: its handler needs the port first. */
  portFor(self: Endpoint): PeerNetwork {
    return {
      send: (message) => this.#send(self, message),
      request: (to, request, timeoutMs, done) => this.#request(self, to, request, timeoutMs, done),
      setPeers: (members, at) => {
        self.membershipAt = at;
        self.known = new Map(members.map((member) => [member.id, member.incarnation]));
      },
      fetchSnapshot: (from, meta, onChunk, done) => this.#fetch(self, from, meta, onChunk, done),
      connection: (id) => ({ connected: this.#reach(self, id) !== null, version: "0.0.0" }),
    };
  }

  #send(self: Endpoint, message: Message): void {
    this.#hooks.sending(self, message);
    const { duplicateChance, encodes } = this.#options;
    if (this.links.isCut(self.id, message.to) || this.#random.chance(this.#lossChance)) return;
    const sent = encodes ? messageFromArray(decode(encode(messageToArray(message)))) : message;
    this.#deliver(self, sent);
    if (!this.#isCalm && this.#random.chance(duplicateChance)) this.#deliver(self, sent);
  }

  #deliver(sender: Endpoint, message: Message): void {
    const sent = { sender, message, sentAtMs: this.#time.nowMs, receiver: this.#endpoints.get(message.to) };
    if (this.#isHeldUp?.(message) === true) return void this.#heldUp.push(sent);
    const { stragglerChance, stragglerMs } = this.#options;
    const straggles = !this.#isCalm && this.#stragglers.chance(stragglerChance);
    const delayMs =
      this.#delayMs(sender.id, message.to) + (straggles ? this.#stragglers.between(0, stragglerMs) : 0);
    this.#arriveAfter(delayMs, sent, straggles);
  }

  #arriveAfter(delayMs: number, { sender, message, sentAtMs, receiver }: Sent, straggles: boolean): void {
    this.#time.plan(delayMs, () => {
      // It was held up on a connection between two processes, and ends with either.
      if (straggles && (sender.process.hasEnded || receiver?.process.hasEnded !== false)) return;
      const target = this.#reach(sender, message.to);
      if (target === null) {
        if (this.#random.chance(0.2)) sender.process.run(() => sender.handler.unreachable(message.to));
        return;
      }
      this.#hooks.arrived(message.type, sender.id, target.id, message, this.#time.nowMs - sentAtMs);
      target.process.run(() => target.handler.receive(message));
    });
  }

  /** Who answers when `from` calls `to` now; null when nobody does, or when they would not talk to each other. */
  #reach(from: Endpoint, to: NodeId): Endpoint | null {
    const target = this.#endpoints.get(to);
    if (target === undefined || this.links.isCut(from.id, to)) return null;
    return this.#takes(from, target) && this.#takes(target, from) ? target : null;
  }

  #takes(judge: Endpoint, other: Endpoint): boolean {
    const known = judge.known.get(other.id) ?? null;
    const takes = takesForMember(judge, known, other);
    if (!takes) this.#hooks.refused(judge, other);
    return takes;
  }

  #delayMs(from: NodeId, to: NodeId): number {
    const { latencyMs, jitterMs, reorders } = this.#options;
    const delayMs = latencyMs + this.extraLatencyMs + this.#random.exponential(jitterMs);
    if (reorders) return delayMs;
    const arrivals = this.#arrivals.get(from) ?? new Map<NodeId, number>();
    this.#arrivals.set(from, arrivals);
    const arrival = Math.max(this.#time.nowMs + delayMs, arrivals.get(to) ?? 0);
    arrivals.set(to, arrival);
    return arrival - this.#time.nowMs;
  }

  #loseStream(endpoint: Endpoint, peer: NodeId): void {
    if (this.links.isCut(peer, endpoint.id)) return;
    this.#time.plan(this.#delayMs(peer, endpoint.id), () => {
      endpoint.process.run(() => endpoint.handler.streamLost(peer));
    });
  }

  #request(
    self: Endpoint,
    to: NodeId,
    request: PeerRequest,
    timeoutMs: number,
    done: (outcome: PeerOutcome) => void,
  ): void {
    let isOver = false;
    let open: { to: Endpoint; breakOff: () => void } | null = null;
    const end = (outcome: PeerOutcome): void => {
      if (isOver) return;
      isOver = true;
      if (open !== null) this.#openRequests.delete(open);
      self.process.soon(() => done(outcome));
    };
    self.process.after(timeoutMs, () => end({ kind: "broken", reason: `no answer in ${timeoutMs} ms` }));
    if (this.#isLost(self.id, to)) return;
    this.#time.plan(this.#delayMs(self.id, to), () => {
      const target = this.#reach(self, to);
      if (target === null) {
        if (!this.links.isCut(self.id, to)) end({ kind: "notSent", reason: "connection refused" });
        return;
      }
      open = { to: target, breakOff: () => end({ kind: "broken", reason: "connection reset" }) };
      if (!isOver) this.#openRequests.add(open);
      this.#hooks.arrived(`ask ${request.kind}`, self.id, to, null, 0);
      const reply = (answer: PeerReply): void => this.#reply(target, self, answer, end);
      target.process.run(() => target.handler.answer(self.id, request, reply));
    });
  }

  #reply(target: Endpoint, self: Endpoint, answer: PeerReply, end: (outcome: PeerOutcome) => void): void {
    if (this.#isLost(target.id, self.id)) return;
    this.#time.plan(this.#delayMs(target.id, self.id), () => {
      if (this.links.isCut(target.id, self.id)) return;
      this.#hooks.arrived(`answer ${answer.kind}`, target.id, self.id, null, 0);
      end({ kind: "reply", reply: answer });
    });
  }

  /** Requests go over connections that repeat what gets lost, so only a part of the loss shows. */
  #isLost(from: NodeId, to: NodeId): boolean {
    return this.links.isCut(from, to) || this.#random.chance(this.#lossChance / 2);
  }

  #fetch(
    self: Endpoint,
    from: NodeId,
    meta: SnapshotMeta,
    onChunk: (chunk: Uint8Array, taken: StorageDone) => void,
    done: (failure: { readonly message: string } | null) => void,
  ): void {
    const ask = (position: number, tries: number): void => {
      const source = this.#reach(self, from);
      if (source === null || this.#isLost(self.id, from)) return again(position, tries);
      let isOver = false;
      self.process.after(chunkTimeoutMs, () => {
        if (isOver) return;
        isOver = true;
        again(position, tries);
      });
      source.process.run(() =>
        source.handler.readSnapshot(meta.id, position, (chunk) => {
          this.#time.plan(this.#delayMs(from, self.id), () => {
            if (isOver) return;
            isOver = true;
            this.#hooks.arrived("chunk", from, self.id, null, 0);
            self.process.run(() => take(position, chunk));
          });
        }),
      );
    };
    const again = (position: number, tries: number): void => {
      if (tries >= chunkTriesMax) return self.process.soon(() => done({ message: "the source is away" }));
      self.process.after(chunkRetryMs, () => ask(position, tries + 1));
    };
    const take = (position: number, chunk: Uint8Array | null | undefined): void => {
      if (chunk === undefined) return done({ message: "no longer offered" });
      if (chunk === null) {
        this.#receivedImages.set(self.id, meta.last.index);
        this.#hooks.imageReceived(self.id, from);
        return done(null);
      }
      onChunk(chunk, (failure) => (failure === null ? ask(position + 1, 0) : done(failure)));
    };
    self.process.soon(() => ask(0, 0));
  }
}
