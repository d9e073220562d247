/** What has gone to and come from one peer since this process started. Counters only rise. */

import type { MessageType } from "../raft/messages.ts";
import type { OutgoingFrame } from "./outbox.ts";

export type CountByType = Partial<Record<MessageType, number>>;

export interface PeerStats {
  readonly id: string;
  /** Where it is dialled; null for a member that no membership names, which dials us. */
  readonly address: string | null;
  /** Whether its control stream to us is open. */
  readonly connected: boolean;
  readonly version: string | null;
  /** The last measured time there and back on the control streams, milliseconds; null before any. */
  readonly rttMs: number | null;
  /** What is wrong with it now, in sentences. */
  readonly problems: readonly string[];
  readonly messagesSent: CountByType;
  readonly messagesReceived: CountByType;
  /** Never handed to a socket, or part of a failed POST. */
  readonly messagesDropped: CountByType;
  /** Frames of messages; link heartbeats and HTTP's own bytes are not counted. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly streamsLost: number;
  readonly waitingMessages: number;
  readonly waitingBytes: number;
}

export class PeerCounters {
  readonly sent: CountByType = {};
  readonly received: CountByType = {};
  readonly dropped: CountByType = {};
  bytesSent = 0;
  bytesReceived = 0;
  streamsLost = 0;

  countSent(frames: readonly OutgoingFrame[]): void {
    for (const { type, bytes } of frames) {
      raise(this.sent, type);
      this.bytesSent += bytes.byteLength;
    }
  }

  countDropped(frames: readonly OutgoingFrame[]): void {
    for (const { type } of frames) raise(this.dropped, type);
  }

  countReceived(type: MessageType, bytes: number): void {
    raise(this.received, type);
    this.bytesReceived += bytes;
  }
}

function raise(counts: CountByType, type: MessageType): void {
  counts[type] = (counts[type] ?? 0) + 1;
}
