/**
 * Everything between this member and one peer: two streams from it, two channels to it, and what is known about it.
 *
 * A link without addresses stands for a member that no membership names yet or any more: it can be answered on the streams that it opens.
 */

import type { Agent, ServerResponse } from "node:http";
import type { Message } from "../raft/messages.ts";
import type { NodeId } from "../raft/types.ts";
import type { PeerHandler } from "../replica/ports.ts";
import { channelOf, channels, type Channel } from "./channels.ts";
import type { Dialer, DialFailure, DialTarget } from "./dialer.ts";
import { frameHeaderBytes } from "./frames.ts";
import type { Handshake } from "./handshake.ts";
import { IncomingStream } from "./incoming-stream.ts";
import type { TransportLimits } from "./limits.ts";
import { OutgoingChannel, type Post } from "./outgoing-channel.ts";
import { PeerAddresses } from "./peer-addresses.ts";
import { PeerCounters, type PeerStats } from "./peer-stats.ts";
import type { Problems } from "./problems.ts";
import { PeerProtocolError } from "./protocol-error.ts";
import { linkHeartbeatFrame, messageFrame, readStreamFrame, type LinkHeartbeat } from "./stream-frames.ts";
import type { Logger } from "../observability/logger.ts";

export const messagesPath = "/peer/messages";

export interface LinkOptions {
  readonly self: NodeId;
  readonly dialer: Dialer;
  readonly agents: { readonly streams: Agent; readonly messages: Agent };
  readonly limits: TransportLimits;
  readonly handler: PeerHandler;
  readonly problems: Problems;
  readonly logger: Logger;
}

export class PeerLink {
  readonly id: NodeId;
  readonly #options: LinkOptions;
  readonly #addresses = new PeerAddresses();
  readonly #counters = new PeerCounters();
  readonly #incoming: Record<Channel, IncomingStream>;
  readonly #outgoing: Record<Channel, OutgoingChannel>;
  #incarnation: string | null = null;
  /** Who was last connected: by a membership that we do not have yet perhaps, and perhaps the wrong one while none is known. */
  #seenIncarnation: string | null = null;
  #version: string | null = null;
  #rttMs: number | null = null;
  /** The peer's last link heartbeat, to be echoed, and when it came by this member's clock. */
  #lastHeartbeat: { readonly sentAt: number; readonly receivedAt: number } | null = null;
  #isTroublePlanned = false;
  #isClosed = false;

  constructor(id: NodeId, options: LinkOptions) {
    this.id = id;
    this.#options = options;
    this.#incoming = { control: this.#newIncoming("control"), append: this.#newIncoming("append") };
    this.#outgoing = { control: this.#newOutgoing("control"), append: this.#newOutgoing("append") };
  }

  /** The incarnation that the membership holds; null while only the address is known. */
  get incarnation(): string | null {
    return this.#incarnation;
  }

  /** Whether what is connected is that incarnation, as far as both are known. */
  isOf(incarnation: string | null): boolean {
    const present = this.#seenIncarnation ?? this.#incarnation;
    return present === null || incarnation === null || present === incarnation;
  }

  get isConnected(): boolean {
    return this.#incoming.control.isOpen;
  }

  get version(): string | null {
    return this.#version;
  }

  get hasOutgoingStream(): boolean {
    return channels.some((channel) => this.#outgoing[channel].hasStream);
  }

  /** Where the peer is dialled now; null when no address is known. */
  get target(): DialTarget | null {
    const url = this.#addresses.current;
    return url === null ? null : { id: this.id, incarnation: this.#incarnation, url };
  }

  /** Follows the membership. Streams that were opened to another address end; those of the same stay. */
  update(peer: { readonly incarnation: string | null; readonly urls: readonly string[] }): void {
    this.#incarnation = peer.incarnation;
    const before = this.#addresses.current;
    this.#addresses.replace(peer.urls);
    if (this.#addresses.current !== before) for (const channel of channels) this.#incoming[channel].stop();
    if (this.#addresses.current !== null) for (const channel of channels) this.#incoming[channel].start();
  }

  /** Sends, or drops: never blocks, never fails, and calls nothing of the handler before it returns. */
  send(message: Message): void {
    const bytes = messageFrame(message);
    const limit = this.#options.limits.frameBytesMax;
    const frame = { type: message.type, bytes };
    if (bytes.byteLength - frameHeaderBytes > limit) {
      const reason = `a message (${message.type}) of ${bytes.byteLength} bytes to ${this.id} is over the limit of ${limit} and was dropped`;
      this.#options.problems.report(this.id, "size", reason);
      this.#counters.countDropped([frame]);
      return this.#planTrouble();
    }
    const channel = channelOf(message);
    if (channel === "append") this.#options.problems.clear(this.id, "size");
    this.#outgoing[channel].send(frame);
  }

  /** The peer has opened a stream for our messages. */
  attach(channel: Channel, stream: ServerResponse, asker: Handshake): void {
    this.#seenIncarnation = asker.incarnation;
    this.#options.problems.clear(this.id, "messages");
    this.peerIsAlive();
    this.#outgoing[channel].attach(stream);
    // At once, so that the peer sees the stream work.
    this.#outgoing[channel].tick(() => this.#heartbeatFrame());
  }

  /** Something came from the peer: whatever waits for its return need not wait for long. */
  peerIsAlive(): void {
    for (const channel of channels) {
      this.#incoming[channel].nudge();
      this.#outgoing[channel].wake();
    }
  }

  /** Takes one frame, from a stream or a POST. Throws PeerProtocolError. */
  receive(body: Buffer): void {
    const frame = readStreamFrame(body);
    if (frame.kind === "linkHeartbeat") return this.#receiveHeartbeat(frame.heartbeat);
    const { message } = frame;
    if (message.from !== this.id || message.to !== this.#options.self) {
      const detail = `a ${message.type} from ${message.from} to ${message.to} came from ${this.id} to ${this.#options.self}`;
      throw new PeerProtocolError(detail);
    }
    this.#counters.countReceived(message.type, body.byteLength + frameHeaderBytes);
    this.#options.handler.receive(message);
  }

  /** Once per link heartbeat. */
  tick(): void {
    for (const channel of channels) {
      this.#outgoing[channel].tick(() => this.#heartbeatFrame());
      this.#incoming[channel].tick();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const channel of channels) {
      this.#incoming[channel].stop();
      this.#outgoing[channel].stop();
    }
    this.#options.problems.forget(this.id);
  }

  stats(): PeerStats {
    const counters = this.#counters;
    const waiting = channels.map((channel) => this.#outgoing[channel].waiting);
    return {
      id: this.id,
      address: this.#addresses.current,
      connected: this.isConnected,
      version: this.#version,
      rttMs: this.#rttMs,
      problems: this.#options.problems.of(this.id),
      messagesSent: { ...counters.sent },
      messagesReceived: { ...counters.received },
      messagesDropped: { ...counters.dropped },
      bytesSent: counters.bytesSent,
      bytesReceived: counters.bytesReceived,
      streamsLost: counters.streamsLost,
      waitingMessages: waiting.reduce((sum, { messages }) => sum + messages, 0),
      waitingBytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  #newIncoming(channel: Channel): IncomingStream {
    const { dialer, agents, limits, problems, logger, handler } = this.#options;
    const way = `${channel} stream`;
    return new IncomingStream({
      channel,
      dialer,
      agent: agents.streams,
      limits,
      target: () => this.#mustTarget(),
      events: {
        onOpen: (answerer) => {
          this.#version = answerer.version;
          this.#seenIncarnation = answerer.incarnation;
          problems.clear(this.id, way);
          const { current: address } = this.#addresses;
          if (channel !== "control") return;
          // What was to be echoed is by the clock of a process that may be gone.
          this.#lastHeartbeat = null;
          logger.info({ peer: this.id, address, version: answerer.version }, "connected to a peer");
        },
        onFrame: (body) => this.receive(body),
        onLost: (reason) => {
          // The append stream alone says little: the peer lives as long as its heartbeats come, and it repeats lost entries itself.
          logger.debug({ peer: this.id, channel, reason }, "a stream from a peer ended");
          if (channel !== "control") return;
          this.#counters.streamsLost += 1;
          logger.info({ peer: this.id, reason }, "lost the stream from a peer");
          handler.streamLost(this.id);
        },
        onFailed: (failure) => this.#attemptFailed(way, failure),
      },
    });
  }

  #newOutgoing(channel: Channel): OutgoingChannel {
    const { limits, problems, logger } = this.#options;
    return new OutgoingChannel({
      limits,
      post: () => (this.target === null ? null : this.#post),
      events: {
        onSent: (frames) => this.#counters.countSent(frames),
        onDropped: (frames, reason) => {
          this.#counters.countDropped(frames);
          logger.debug(
            { peer: this.id, channel, messages: frames.length, reason },
            "dropped messages to a peer",
          );
          this.#planTrouble();
        },
        onPosted: (failure) => {
          if (failure === null) problems.clear(this.id, "messages");
          else this.#attemptFailed("messages", failure);
        },
      },
    });
  }

  readonly #post: Post = (body, done) => {
    const { dialer, agents, limits } = this.#options;
    dialer.ask(
      {
        target: this.#mustTarget(),
        method: "POST",
        path: messagesPath,
        body,
        agent: agents.messages,
        sameCluster: true,
        timeoutMs: limits.answerTimeoutMs,
      },
      {
        onAnswer: (answer) => {
          answer.resume();
          done(null);
        },
        onFailure: done,
      },
    );
  };

  #attemptFailed(way: string, failure: DialFailure): void {
    this.#addresses.failed(failure.url);
    this.#options.problems.report(this.id, way, failure.reason);
  }

  #mustTarget(): DialTarget {
    const { target } = this;
    if (target === null) throw new Error(`${this.id} is dialled, and no address of it is known`);
    return target;
  }

  #heartbeatFrame(): Buffer {
    const now = performance.now();
    const last = this.#lastHeartbeat;
    const echo = last === null ? null : { sentAt: last.sentAt, heldMs: now - last.receivedAt };
    return linkHeartbeatFrame({ sentAt: now, echo });
  }

  #receiveHeartbeat({ sentAt, echo }: LinkHeartbeat): void {
    const now = performance.now();
    this.#lastHeartbeat = { sentAt, receivedAt: now };
    if (echo !== null) this.#rttMs = Math.max(0, now - echo.sentAt - echo.heldMs);
  }

  /** Tells the handler once a turn, and never from within `send`: it may be in the middle of its own work. */
  #planTrouble(): void {
    if (this.#isTroublePlanned) return;
    this.#isTroublePlanned = true;
    setImmediate(() => {
      this.#isTroublePlanned = false;
      if (!this.#isClosed) this.#options.handler.unreachable(this.id);
    });
  }
}
