/** Every bound of the transport, by name, with its default. Tests cross each of them with smaller values. */

export interface TransportLimits {
  /** The largest frame, and so the largest message, request, reply or snapshot chunk, bytes. Equal on all members. */
  readonly frameBytesMax: number;
  /** Of one message queue (there are two to each peer), in messages and bytes; beyond it the oldest are dropped. */
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  /** How much is handed to a socket, or put into one POST, at once; a single larger frame goes alone. */
  readonly writeBytesMax: number;
  /** Requests under way to one peer; one more ends as `notSent`. */
  readonly requestsInFlightMax: number;
  /** Sockets that the peer server holds open. */
  readonly connectionsMax: number;
  /** Connected members that no membership names yet, such as one that was just removed or added. */
  readonly strangersMax: number;
  /** Between two link heartbeats on a stream, milliseconds. */
  readonly linkHeartbeatMs: number;
  /** A stream without a byte, or a blocked write, for so many link heartbeats is dead. */
  readonly silenceHeartbeatsMax: number;
  /** From dialling to the first byte of an answer: streams, snapshots, POSTed messages, milliseconds. */
  readonly answerTimeoutMs: number;
  /** To receive a request's body, milliseconds. */
  readonly bodyTimeoutMs: number;
  /** The wait before a peer is dialled again: at first, and at most, milliseconds. Each is shortened at random by up to a half. */
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
  /** Snapshots leave this member at most at this rate, all together. */
  readonly snapshotBytesPerSecond: number;
  /** Attempts in a row without a new chunk before a snapshot transfer is given up. */
  readonly snapshotAttemptsMax: number;
}

export const defaultTransportLimits: TransportLimits = {
  frameBytesMax: 8 * 1024 * 1024,
  queueMessagesMax: 4096,
  queueBytesMax: 16 * 1024 * 1024,
  writeBytesMax: 256 * 1024,
  requestsInFlightMax: 64,
  connectionsMax: 1024,
  strangersMax: 16,
  linkHeartbeatMs: 1000,
  silenceHeartbeatsMax: 3,
  answerTimeoutMs: 2000,
  bodyTimeoutMs: 10_000,
  backoffFirstMs: 50,
  backoffMaxMs: 1000,
  snapshotBytesPerSecond: 50_000_000,
  snapshotAttemptsMax: 10,
};
