/**
 * No message leaves before what it promises is durable: its term, a vote, an acknowledged entry (paper Figure 2, "updated on stable
 * storage before responding").
 */

import type { Message } from "../../../src/raft/messages.ts";
import type { Index, NodeId } from "../../../src/raft/types.ts";
import type { Violate } from "../violation.ts";
import type { DurableLog } from "./durable-log.ts";

const checker = "storage gate";

/** `imageIndex`: where a received image ends that is durable, and from which a restart would begin if the log does not reach there. */
export function checkStorageGate(
  from: NodeId,
  message: Message,
  log: DurableLog,
  imageIndex: Index,
  violate: Violate,
): void {
  const { term, vote } = log.hardState;
  const carried =
    message.type === "preVote" || (message.type === "preVoteReply" && message.granted) ? 0 : message.term;
  if (carried > term)
    violate(checker, `${from} sent ${message.type} of term ${message.term} while term ${term} was durable`);
  if (message.type === "vote" && message.term === term && vote !== from)
    violate(
      checker,
      `${from} asked for votes in term ${term} while its durable vote was ${vote ?? "nobody"}`,
    );
  if (message.type === "voteReply" && message.granted && message.term === term && vote !== message.to)
    violate(
      checker,
      `${from} granted ${message.to} its vote in term ${term} while its durable vote was ${vote ?? "nobody"}`,
    );
  // An answer of an earlier term may speak of entries that were cut since: nobody counts it any more.
  const durableIndex = Math.max(log.lastIndex, imageIndex);
  if (
    message.type === "appendReply" &&
    message.accepted &&
    message.term === term &&
    message.index > durableIndex
  )
    violate(checker, `${from} acknowledged entry ${message.index} while ${durableIndex} was durable`);
}
