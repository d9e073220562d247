/** How far the state hash may lag behind the state: taking up a change at once costs more than taking up many now and then. Pure. */

/** The part of a registry that is needed here. */
export interface HashedState {
  /** Takes up at most so many changed records. Returns how many are left. */
  settleHash(recordsMax: number): number;
}

/** Changed records that gather before they are taken up: what changes often, as leases do, is then hashed now and then and not every turn. */
export const unsettledKept = 500;

/** The same until a start has caught up: nobody asks for a hash before, and the next entries would change it again. */
export const unsettledInReplay = 2_000_000;

/** Records that are taken up in one turn when there are more, as after a start. */
export const settledPerTurn = 2_000;

/** A checkpoint that would cost more than this many records is left out: it must not hold up the loop. */
export const unsettledMax = 10_000;

/** To be called in every turn. Returns whether another turn is needed for this alone: after a start there is more than one can do. */
export function keepHashUp(state: HashedState, isReplaying: boolean): boolean {
  const kept = isReplaying ? unsettledInReplay : unsettledKept;
  return state.settleHash(0) > kept && state.settleHash(settledPerTurn) > unsettledMax;
}

/** Whether the hash can be asked for without holding up the loop. */
export function isHashNear(state: HashedState): boolean {
  return state.settleHash(0) <= unsettledMax;
}
