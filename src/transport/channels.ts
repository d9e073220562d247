/**
 * The two channels of messages in each direction between two members, so that heartbeats, votes and replies never wait behind entries.
 * Order holds within a channel only; Raft does not need more.
 */

import type { Message } from "../raft/messages.ts";

export const channels = ["control", "append"] as const;
export type Channel = (typeof channels)[number];

/** All Appends share a channel, the empty ones too: one that overtook its predecessors would be refused. */
export function channelOf(message: Message): Channel {
  return message.type === "append" ? "append" : "control";
}

export function readChannel(text: string | null): Channel | null {
  return channels.find((channel) => channel === text) ?? null;
}
