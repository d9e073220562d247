/**
 * Entries that this member appended as leader and whose outcome is not known yet.
 *
 * The outcome is decided by what is applied at the entry's index, and by nothing else: the same term means committed, another term
 * means that the entry was overwritten and never took effect. Losing the leadership decides nothing (the entry may be in the next
 * leader's log), and neither does a truncation here (another member may still hold the entry and win a later election).
 */

import type { EntryId, Index } from "../raft/types.ts";
import type { CommandBatch, CommandResult } from "../registry/commands.ts";
import type { RejectReason } from "../raft/io.ts";

export type ProposalEnd =
  | { readonly kind: "committed"; readonly entry: EntryId; readonly results: readonly CommandResult[] }
  /** Certainly without effect. */
  | { readonly kind: "rejected"; readonly reason: RejectReason }
  /** It may yet take effect, or has, unseen. */
  | { readonly kind: "unknown" };

export interface Proposal {
  readonly batch: CommandBatch;
  /** On the driver's monotonic clock: when its askers stop waiting. */
  readonly deadlineMs: number;
  /** Called exactly once. */
  readonly end: (end: ProposalEnd) => void;
}

interface Appended extends Proposal {
  readonly entry: EntryId;
}

export class Proposals {
  /** Handed to the core, which has not answered yet; by context. */
  readonly #proposed = new Map<number, Proposal>();
  /** In the log, in order of index; a later leadership of this member replaces an older entry at the same index. */
  readonly #appended = new Map<Index, Appended>();
  #nextContext = 1;

  get size(): number {
    return this.#proposed.size + this.#appended.size;
  }

  /** Registers a proposal and returns the context to give to the core. */
  open(proposal: Proposal): number {
    const context = this.#nextContext++;
    this.#proposed.set(context, proposal);
    return context;
  }

  appended(context: number, entry: EntryId): void {
    const proposal = this.#take(context);
    if (proposal === null) return;
    // An entry of this member's earlier leadership at the same index was overwritten in its own log, but may live on in others'.
    this.#appended.get(entry.index)?.end({ kind: "unknown" });
    this.#appended.set(entry.index, { ...proposal, entry });
  }

  rejected(context: number, reason: RejectReason): void {
    this.#take(context)?.end({ kind: "rejected", reason });
  }

  /** The batch of an entry that this member proposed, so that it need not be decoded again. */
  batchOf(entry: EntryId): CommandBatch | null {
    const proposal = this.#appended.get(entry.index);
    return proposal !== undefined && proposal.entry.term === entry.term ? proposal.batch : null;
  }

  /** An entry was applied: decides the proposal at its index. `results` is empty for an entry that is no command. */
  applied(entry: EntryId, results: readonly CommandResult[]): void {
    const proposal = this.#appended.get(entry.index);
    if (proposal === undefined) return;
    this.#appended.delete(entry.index);
    if (proposal.entry.term === entry.term) proposal.end({ kind: "committed", entry, results });
    else proposal.end({ kind: "rejected", reason: "termChanged" });
  }

  /** A snapshot replaced everything up to `index`: what became of the entries below cannot be told. */
  jumpedTo(index: Index): void {
    this.#endWhere((proposal) => proposal.entry.index <= index);
  }

  /** Askers whose time is over are told that their writes may yet take effect. */
  expire(nowMs: number): void {
    if (this.#appended.size > 0) this.#endWhere((proposal) => proposal.deadlineMs <= nowMs);
  }

  close(): void {
    this.#endWhere(() => true);
    for (const proposal of this.#proposed.values()) proposal.end({ kind: "unknown" });
    this.#proposed.clear();
  }

  #endWhere(isOver: (proposal: Appended) => boolean): void {
    for (const [index, proposal] of this.#appended) {
      if (!isOver(proposal)) continue;
      this.#appended.delete(index);
      proposal.end({ kind: "unknown" });
    }
  }

  #take(context: number): Proposal | null {
    const proposal = this.#proposed.get(context);
    this.#proposed.delete(context);
    return proposal ?? null;
  }
}
