/**
 * This member's way back after its disk may have lost acknowledged entries or a vote.
 *
 * It has forgotten promises, so it must not be counted on: it neither votes nor campaigns, and its replies say so. It takes entries as
 * a learner does. It may count again once it holds an entry that was proposed after its return and committed without it: whatever
 * majority committed that entry knows of no promise that the loss could break. Catching up with somebody who calls himself leader is
 * not enough; he may have been replaced by the very vote that was lost.
 */

import type { Index } from "./types.ts";

export class OwnRecovery {
  #isRecovering: boolean;
  /** The index to hold, as the leader said; 0 before that. Committed, so it stays valid whoever leads. */
  #goalIndex: Index = 0;
  /** The write that records the end of the recovery; null until then. */
  #recordedBySeq: number | null = null;

  constructor(isRecovering: boolean) {
    this.#isRecovering = isRecovering;
  }

  get isRecovering(): boolean {
    return this.#isRecovering;
  }

  /** The end of the recovery is on its way to the disk. */
  get isBeingRecorded(): boolean {
    return this.#recordedBySeq !== null;
  }

  /** The loss was found out while running. */
  begin(): void {
    this.#isRecovering = true;
    this.#goalIndex = 0;
    this.#recordedBySeq = null;
  }

  aimFor(index: Index): void {
    if (index > 0) this.#goalIndex = index;
  }

  /** Whether the end of the recovery is to be recorded now. */
  isGoalReached(marks: { readonly commitIndex: Index; readonly durableIndex: Index }): boolean {
    if (!this.#isRecovering || this.#recordedBySeq !== null || this.#goalIndex === 0) return false;
    return marks.commitIndex >= this.#goalIndex && marks.durableIndex >= this.#goalIndex;
  }

  recordedBy(seq: number): void {
    this.#recordedBySeq = seq;
  }

  /** Returns whether the record became durable with this, and the recovery is over. */
  stored(seq: number): boolean {
    if (!this.#isRecovering || this.#recordedBySeq === null || seq < this.#recordedBySeq) return false;
    this.#isRecovering = false;
    return true;
  }
}
