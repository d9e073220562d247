/**
 * An old leader's entries that are overwritten where they came from, and committed all the same (paper §5.4.2, Figure 8, turned round).
 *
 * They reach one follower, the witness, before the others elect a successor. That one overwrites them at the old leader and hands over to
 * it, which now proposes something else at the same index. This reaches nobody, and then the witness wins: of all who can still vote it alone
 * has the old entries, and commits them. Whatever the old leader has said of them meanwhile must be true.
 */

import type { Message } from "../../../src/raft/messages.ts";
import type { Index } from "../../../src/raft/types.ts";
import type { SimMember } from "../world/member.ts";
import { askToHandOver } from "./hand-over.ts";
import type { Script, Stage } from "./staged.ts";
import { writeAt } from "./write-at.ts";

/** One more than what two elections append, and some that the successor may have had already. */
const oldWrites = 4;

/** Whoever asked is to be waiting still when another has won, in shortest election timeouts. */
const patienceTimeouts = 40;

export function* lateWinner({ world, leader, followers }: Stage): Script {
  const { network } = world;
  const [witness, ...rest] = followers;
  // Those who elect the others must be a majority without the first leader and the witness.
  if (witness === undefined || rest.length <= 2) return;
  const write = (what: string): void => {
    const name = `${what}.${leader.id}.${Math.round(world.time.nowMs * 1000)}/0`;
    writeAt(world, leader, name, patienceTimeouts * world.unitMs);
  };
  try {
    // The first leader's word reaches the witness alone; the entries of whoever comes next, the first leader alone.
    network.holdUp((message) => {
      const { from, to } = message;
      if (from === leader.id) return to !== witness.id;
      return (bringsEntries(message) && to !== leader.id) || asksFor(witness, message);
    });
    world.faulted("late winner", witness.id);
    for (let n = 0; n < oldWrites; n += 1) {
      const last = lastOf(leader);
      write(`old${n}`);
      if (!(yield { until: () => lastOf(leader) > last, timeouts: 1 })) return;
    }
    if (!(yield { until: () => rest.some(isElected), timeouts: 6 })) return;
    const successor = rest.find(isElected)!;
    const term = successor.core?.term ?? 0;
    network.holdUp(
      (message) => (bringsEntries(message) && message.to !== leader.id) || asksFor(witness, message),
    );
    askToHandOver(successor, leader.id);
    const leadsAgain = (): boolean => isElected(leader) && (leader.core?.term ?? 0) > term;
    if (!(yield { until: leadsAgain, timeouts: 4 })) return;
    // What it proposes next must stand where an old entry stands at the witness.
    const last = lastOf(leader);
    if (lastOf(witness) <= last) return;
    write("new");
    if (!(yield { until: () => lastOf(leader) > last, timeouts: 1 })) return;
    world.faulted("another entry at the same index", leader.id);
    const others = [witness, ...rest.filter((each) => each !== successor)];
    network.links.split([leader.id, successor.id], idsOf(others), "both");
    network.holdUp((message) => rest.some((each) => asksFor(each, message)));
    if (!(yield { until: () => isElected(witness), timeouts: 8 })) return;
    const hasCommitted = (): boolean => witness.core?.view.node.knowsCommits === true;
    if (yield { until: hasCommitted, timeouts: 3 })
      world.faulted("commit of what was overwritten", witness.id);
  } finally {
    network.letGo();
    network.links.heal();
  }
}

function isElected({ replica }: SimMember): boolean {
  return replica?.isLeader === true;
}

function bringsEntries({ type }: Message): boolean {
  return type === "append" || type === "snapshotOffer";
}

/** Whether the member wants to be elected. */
function asksFor({ id }: SimMember, { type, from }: Message): boolean {
  return from === id && (type === "preVote" || type === "vote");
}

function lastOf({ core }: SimMember): Index {
  return core?.view.node.log.lastIndex ?? 0;
}

function idsOf(members: readonly SimMember[]): readonly string[] {
  return members.map(({ id }) => id);
}
